import { randomBytes } from "node:crypto";
import { actionNotFound } from "../api/errors.ts";
import type { ForkSource } from "../runtime/persistence/fork.ts";
import { FORK_ACTIONS, type ForkPiece } from "./fork-peers.ts";

const TICKET_BYTES = 32;

/** A running fork. */
interface OpenFork {
  source: ForkSource;
  /** Encrypted secrets for the new VM; `undefined`: it gets no secrets. */
  secrets: string | undefined;
}

/** Running forks of one awake VM. */
export class Forks {
  readonly #open = new Map<string, OpenFork>();

  async read(ticket: string, from: number): Promise<ForkPiece> {
    const open = this.#open.get(ticket);
    if (open === undefined) throw actionNotFound(FORK_ACTIONS.read);
    const { source, secrets } = open;
    const records = await source.read(from);
    return records.next === null && secrets !== undefined ? { ...records, secrets } : records;
  }

  /**
   * Runs `work`. Until it ends, the ticket opens the source.
   *
   * @param seal returns the encrypted secrets for the new VM, if it gets secrets
   */
  async during<Result>(
    source: ForkSource,
    seal: (ticket: string) => Promise<string | undefined>,
    work: (ticket: string) => Promise<Result>,
  ): Promise<Result> {
    const ticket = randomBytes(TICKET_BYTES).toString("hex");
    this.#open.set(ticket, { source, secrets: await seal(ticket) });
    try {
      return await work(ticket);
    } finally {
      this.#open.delete(ticket);
    }
  }
}
