/** Whoever reads no further, as `| head` does, breaks no command. */
import { expect, it } from 'vitest';
import { CliProcess } from '../testkit/cli-process.ts';
import { ROOT } from '../testkit/manifests.ts';

it('a command whose output nobody reads ends as it would have', async () => {
  const cli = new CliProcess('policy', 'check', `${ROOT}/config/policy.yaml`);
  cli.closeStdout();
  expect(await cli.ended()).toBe(0);
  expect(cli.stderr.text).toBe('');
});
