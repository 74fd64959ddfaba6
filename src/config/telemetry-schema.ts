/** What a process tells others of how it does. */
import { z } from 'zod';
import { listenAddress } from './forms.ts';

/** Where figures are had; `listen` is the address without one of the operator's. */
export const metricsSchema = (listen: string) =>
  z.strictObject({
    listen: z
      .union([z.literal('off'), listenAddress], 'an address, host:port or [ipv6]:port; or off')
      .meta({ title: 'TCP address or off' })
      .prefault(listen)
      .describe('Where GET /metrics is answered, by plain HTTP and to everybody who reaches it.'),
  });

export type MetricsConfig = z.output<ReturnType<typeof metricsSchema>>;
