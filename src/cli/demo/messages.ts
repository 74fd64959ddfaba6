/** What the demo and its processes say to each other over the channel that `spawn` gives them. */
import type { Server } from 'node:net';

/** To a process. */
export interface Order {
  readonly id: number;
  readonly order: string;
  readonly args: Readonly<Record<string, unknown>>;
}

/** From a process: the end of an order, or word of actions done. */
export type Report =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly fault: string }
  | { readonly acted: number };

export type OrderHandler = (args: Readonly<Record<string, unknown>>, handle?: Server) => unknown;

const sayOf = (error: unknown): string => {
  const { message, cause } = error as Error;
  return cause instanceof Error ? `${message}: ${cause.message}` : String(message);
};

const tell = (report: Report): void => {
  if (process.connected) process.send?.(report);
};

/** Tells the demo that an action was done. */
export const tellActed = (acted: number): void => tell({ acted });

/** Carries out the orders that come, each by its name. */
export const takeOrders = (handlers: Readonly<Record<string, OrderHandler>>): void => {
  const take = async ({ id, order, args }: Order, handle: Server | undefined): Promise<void> => {
    try {
      const handler = handlers[order];
      if (handler === undefined) throw new Error(`no such order: ${order}`);
      tell({ id, result: (await handler(args, handle)) ?? null });
    } catch (error) {
      tell({ id, fault: sayOf(error) });
    }
  };
  process.channel?.ref();
  process.on('message', (order: Order, handle) => void take(order, handle as Server | undefined));
};
