import { expect, it } from 'vitest';
import { deny } from '../../../src/core/verdict.ts';
import type { HopRequest, Path } from '../../../src/hop/path.ts';
import type { Undecided } from '../../../src/hop/permit.ts';
import { settle } from '../../../src/hop/settle.ts';

it('what breaks while a decision is settled denies it; the sidecar hears what it was, and the peer does not', async () => {
  const heard: unknown[] = [];
  const broken = new Error('no such thing at /home/agent/secret');
  const path = { onFault: (error: unknown) => heard.push(error) } as unknown as Path;
  const open = {
    ...deny('internal', ''),
    wanted: { what: 'points', asked: [] },
    get input(): never {
      throw broken;
    },
  } as unknown as Undecided;
  const settled = await settle(path, {} as HopRequest, open, {
    refuse: () => {},
    exchange: () => {
      throw broken;
    },
  });
  expect(settled).toMatchObject({ ok: false, reason: 'internal' });
  expect(JSON.stringify(settled)).not.toContain('secret');
  expect(heard).toEqual([broken]);
});
