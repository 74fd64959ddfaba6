/** JSON as it is written, so that a member can occur twice and a number or string have any spelling. */
export type Tree =
  | { kind: 'object'; members: [name: string, value: Tree][] }
  | { kind: 'array'; items: Tree[] }
  /** Text as it stands: a number, a string with its quotes, a word. Names of members are such texts too. */
  | { kind: 'text'; text: string };

export const treeOf = (value: unknown): Tree => {
  if (Array.isArray(value)) return { kind: 'array', items: value.map(treeOf) };
  if (typeof value === 'object' && value !== null)
    return {
      kind: 'object',
      members: Object.entries(value).map(([name, member]) => [JSON.stringify(name), treeOf(member)]),
    };
  return { kind: 'text', text: JSON.stringify(value) };
};

export const textOf = (tree: Tree): string => {
  switch (tree.kind) {
    case 'text':
      return tree.text;
    case 'array':
      return `[${tree.items.map(textOf).join(',')}]`;
    case 'object':
      return `{${tree.members.map(([name, value]) => `${name}:${textOf(value)}`).join(',')}}`;
  }
};

/** The tree itself and all within. */
export const nodesOf = (tree: Tree): Tree[] => {
  if (tree.kind === 'object') return [tree, ...tree.members.flatMap(([, value]) => nodesOf(value))];
  return tree.kind === 'array' ? [tree, ...tree.items.flatMap(nodesOf)] : [tree];
};
