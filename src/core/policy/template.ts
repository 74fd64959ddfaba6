/** `{name}` in paths and scopes. */
export const TEMPLATE = /\{([A-Za-z][A-Za-z0-9_]*)\}/g;
export const WHOLE_TEMPLATE = /^\{[A-Za-z][A-Za-z0-9_]*\}$/;
