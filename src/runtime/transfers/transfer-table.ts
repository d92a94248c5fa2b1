import { randomUUID } from "node:crypto";
import { type AgentVmError, limitExceeded, transferNotFound, vmStopped } from "../../api/errors.ts";
import { codeOf } from "../sandbox/posix.ts";

/** Open resource of a transfer. `close` may be called twice. */
interface Closable {
  close(): Promise<void>;
}

/** Open transfers by unguessable ids. Their number is limited, and a transfer without use is closed after a while. */
export class TransferTable {
  readonly #maximum: number;
  readonly #idleMs: number;
  readonly #open = new Map<string, Transfer<Closable>>();
  /** Number of transfers that are being opened. */
  #opening = 0;
  #disposed = false;

  constructor(maximum: number, idleMs: number) {
    this.#maximum = maximum;
    this.#idleMs = idleMs;
  }

  /**
   * Opens the resource of a transfer, and closes it again if the start fails.
   *
   * @param start may keep the transfer until it ends, and gets its id
   */
  async begin<Opened extends Closable, Result>(
    open: () => Promise<Opened>,
    start: (opened: Opened, keep: (resource: Closable) => string) => Promise<Result>,
  ): Promise<Result> {
    if (this.#disposed) throw vmStopped();
    if (this.#open.size + this.#opening >= this.#maximum)
      throw limitExceeded(
        { MAX_TRANSFERS: this.#maximum },
        "Transfer limit of the VM reached",
        "Finish or close a transfer first.",
      );
    // A transfer is counted here until it is in the table, and never in both.
    this.#opening++;
    let isKept = false;
    const keep = (resource: Closable) => {
      const id = this.#keep(resource);
      isKept = true;
      this.#opening--;
      return id;
    };
    try {
      const opened = await open();
      try {
        return await start(opened, keep);
      } catch (error) {
        await opened.close();
        throw error;
      }
    } catch (error) {
      throw this.#disposed ? vmStopped() : error;
    } finally {
      if (!isKept) this.#opening--;
    }
  }

  /** Adds a transfer that holds a resource until it ends. Returns the transfer's id. */
  #keep(resource: Closable): string {
    if (this.#disposed) throw vmStopped();
    const id = randomUUID();
    this.#open.set(id, new Transfer(resource, this.#idleMs, () => void this.end(id)));
    return id;
  }

  /** Runs `work` with a transfer's resource. Throws `transfer_not_found` if the resource is of another kind. */
  async use<Resource extends Closable, Result>(
    id: string,
    kind: abstract new (...args: never[]) => Resource,
    work: (resource: Resource) => Promise<Result>,
  ): Promise<Result> {
    const transfer = this.#open.get(id);
    if (transfer === undefined) throw this.#gone(id);
    try {
      return await transfer.use((resource) => {
        if (!(resource instanceof kind)) throw this.#gone(id);
        return work(resource);
      });
    } catch (error) {
      // The transfer ended during the call, and its file was closed.
      throw codeOf(error) === "EBADF" && !this.#open.has(id) ? this.#gone(id) : error;
    }
  }

  /** Ends a transfer and closes its resource. Ignores unknown ids. */
  async end(id: string): Promise<void> {
    const transfer = this.#open.get(id);
    this.#open.delete(id);
    await transfer?.end();
  }

  /** Ends all transfers. Later calls reject with `vm_stopped`. */
  async dispose(): Promise<void> {
    this.#disposed = true;
    await Promise.all([...this.#open.keys()].map((id) => this.end(id)));
  }

  #gone(id: string): AgentVmError {
    return this.#disposed ? vmStopped() : transferNotFound(id);
  }
}

/** Holds a resource for a client that may never come back, and calls `onIdle` after a time without use. */
class Transfer<Resource extends Closable> {
  readonly #resource: Resource;
  readonly #idle: NodeJS.Timeout;
  #users = 0;
  #ended = false;

  constructor(resource: Resource, idleMs: number, onIdle: () => void) {
    this.#resource = resource;
    this.#idle = setTimeout(() => (this.#users > 0 ? this.#idle.refresh() : onIdle()), idleMs).unref();
  }

  /** Runs `work` with the resource. The idle time restarts when the work ends. */
  async use<Result>(work: (resource: Resource) => Promise<Result>): Promise<Result> {
    this.#users++;
    try {
      return await work(this.#resource);
    } finally {
      this.#users--;
      // `refresh` would restart a cleared timer.
      if (!this.#ended) this.#idle.refresh();
    }
  }

  async end(): Promise<void> {
    this.#ended = true;
    clearTimeout(this.#idle);
    await this.#resource.close();
  }
}
