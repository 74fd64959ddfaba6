/** The newest bundle, as whoever gets it verifies it; read when somebody asks, and once a bundle. */
import { type Bundle, verifyBundle } from '../../core/trust/bundle.ts';

export interface NewestBundle {
  readonly trustDomain: string;
  /** Thumbprint of the root. */
  readonly root: string;
  readonly current: () => { readonly text: string; readonly digest: string; readonly iat: number };
}

export const presentBundle = ({ trustDomain, root, current }: NewestBundle): (() => Bundle) => {
  let read: Bundle | undefined;
  return () => {
    const { text, digest, iat } = current();
    if (read?.digest === digest) return read;
    const bundle = verifyBundle(text, { trustDomain, root, last: { epoch: 0, seq: 0 }, now: iat });
    if (!bundle.ok) throw new Error(`our own bundle is refused: ${bundle.reason}: ${bundle.detail}`);
    read = bundle.value;
    return read;
  };
};
