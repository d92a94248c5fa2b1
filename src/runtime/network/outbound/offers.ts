import type { OutsideSocket } from "./connections.ts";

/** Services of clients' machines that are offered inside a VM, under names below `agent-vm`. */
export interface Offers {
  /** Returns whether a name has a service. */
  has(host: string): boolean;
  /** Opens a connection to a service. @throws Error if there is no such service, or the client cannot reach it */
  open(host: string, port: number, signal: AbortSignal): Promise<OutsideSocket>;
}

export const NO_OFFERS: Offers = {
  has: () => false,
  async open(host, port) {
    throw new Error(`no client offers ${host}:${port}`);
  },
};
