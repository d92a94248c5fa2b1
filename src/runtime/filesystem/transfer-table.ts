import { randomUUID } from "node:crypto";
import { type AgentVmError, limitExceeded, transferNotFound, vmStopped } from "../../api/errors.ts";
import { codeOf } from "../sandbox/posix.ts";
import { type Closable, Transfer } from "./transfer.ts";

/** Open transfers by unguessable ids: limited in number, each given up when nobody has used it for a while. */
export class TransferTable {
  readonly #maximum: number;
  readonly #idleMs: number;
  readonly #open = new Map<string, Transfer<Closable>>();
  /** Transfers that are being opened. */
  #opening = 0;
  #disposed = false;

  constructor(maximum: number, idleMs: number) {
    this.#maximum = maximum;
    this.#idleMs = idleMs;
  }

  /** Opens what a transfer needs, and closes it again if the start fails. */
  async begin<Opened extends Closable, Result>(
    open: () => Promise<Opened>,
    start: (opened: Opened) => Promise<Result>,
  ): Promise<Result> {
    if (this.#disposed) throw vmStopped();
    if (this.#open.size + this.#opening >= this.#maximum)
      throw limitExceeded("MAX_TRANSFERS", this.#maximum, "Too many open file transfers");
    this.#opening++;
    try {
      const opened = await open();
      try {
        return await start(opened);
      } catch (error) {
        await opened.close();
        throw error;
      }
    } catch (error) {
      throw this.#disposed ? vmStopped() : error;
    } finally {
      this.#opening--;
    }
  }

  /** Keeps what a transfer holds until it ends. */
  keep(resource: Closable): string {
    if (this.#disposed) throw vmStopped();
    const id = randomUUID();
    this.#open.set(id, new Transfer(resource, this.#idleMs, () => void this.end(id)));
    return id;
  }

  /** Works with what a transfer holds, if it is of that kind. */
  async use<Resource extends Closable, Result>(
    id: string,
    kind: new (...args: never[]) => Resource,
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
      // Given up meanwhile: the file was closed under the call.
      throw codeOf(error) === "EBADF" && !this.#open.has(id) ? this.#gone(id) : error;
    }
  }

  /** Closes what a transfer holds; unknown ids are fine. */
  async end(id: string): Promise<void> {
    const transfer = this.#open.get(id);
    this.#open.delete(id);
    await transfer?.end();
  }

  /** Ends every transfer; later calls are `vm_stopped`. */
  async dispose(): Promise<void> {
    this.#disposed = true;
    await Promise.all([...this.#open.keys()].map((id) => this.end(id)));
  }

  #gone(id: string): AgentVmError {
    return this.#disposed ? vmStopped() : transferNotFound(id);
  }
}
