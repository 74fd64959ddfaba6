/** The one request of every load, as octets in a file: with the chain, and without it for who doesn't look at it. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { BenchWorld } from '../world.ts';

export interface RequestFiles {
  readonly withChain: string;
  readonly withoutChain: string;
}

const HEAD =
  'GET /ec2/DescribeInstances HTTP/1.1\r\nhost: cloud.mesh\r\naccept: */*\r\nuser-agent: bench\r\n';

export const writeRequests = ({ directory, chain }: BenchWorld): RequestFiles => {
  const files = {
    withChain: path.join(directory, 'with-chain.http'),
    withoutChain: path.join(directory, 'without-chain.http'),
  };
  writeFileSync(files.withChain, `${HEAD}delegation-chain: ${chain}\r\n\r\n`);
  writeFileSync(files.withoutChain, `${HEAD}\r\n`);
  return files;
};
