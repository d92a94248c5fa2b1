import { connectionLost } from "../api/errors.ts";
import type { ShellDataEvent, ShellExitEvent } from "../api/events.ts";
import type { ShellOutput } from "../api/methods/shells.ts";
import { deferred } from "../base/deferred.ts";
import { callBack } from "./listeners.ts";
import { toAgentVmError } from "./rivet/errors.ts";
import type { Invoke } from "./transfer.ts";

/** Puts a shell's output back together from events and scrollback. */
export class Output {
  readonly #invoke: Invoke;
  readonly #onData: (data: Uint8Array) => void;
  /** Events that arrived before the shell's id. */
  #early: (ShellDataEvent | ShellExitEvent)[] | undefined = [];
  #shellId: string | undefined;
  /** Number of shells before this one. Two instances of a VM may give their shells the same id. */
  #round = 0;
  /** Number of the next chunk to deliver. */
  #next = 0;
  /** Number of the newest chunk that the client knows of. */
  #newest = -1;
  #exitCode: number | undefined;
  #catchingUp = false;
  #hasLeft = false;
  #isOver = false;
  readonly #exit = deferred<number>();

  constructor(invoke: Invoke, onData: (data: Uint8Array) => void) {
    this.#invoke = invoke;
    this.#onData = onData;
    // A caller that ignores `exited` must not get an unhandled rejection.
    const over = () => {
      this.#isOver = true;
    };
    this.#exit.promise.then(over, over);
  }

  /** `true` after the shell's end. */
  get isOver(): boolean {
    return this.#isOver;
  }

  get exited(): Promise<number> {
    return this.#exit.promise;
  }

  /** Leaves the shell, which has ended with its VM instance. `follow` begins the next one. */
  restart(): void {
    this.#round += 1;
    this.#early = [];
    this.#shellId = undefined;
    this.#next = 0;
    this.#newest = -1;
    this.#catchingUp = false;
  }

  /** Ends with an error. */
  fail(error: unknown): void {
    this.#exit.reject(toAgentVmError(error));
  }

  /** @param isNew the shell has no output from before its first event */
  follow(shellId: string, isNew: boolean): void {
    this.#shellId = shellId;
    if (!isNew) this.catchUp();
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const event of early) {
      if ("seq" in event) this.onChunk(event);
      else this.onExit(event);
    }
  }

  /** Delivers nothing more. */
  leave(): void {
    this.#hasLeft = true;
    this.#exit.reject(connectionLost("The terminal was detached from its shell"));
  }

  onChunk(event: ShellDataEvent): void {
    if (this.#early) this.#early.push(event);
    if (event.shellId !== this.#shellId) return;
    this.#newest = Math.max(this.#newest, event.seq);
    if (event.seq === this.#next && !this.#catchingUp) this.#deliver(event);
    else if (event.seq >= this.#next) this.catchUp();
  }

  onExit(event: ShellExitEvent): void {
    if (this.#early) this.#early.push(event);
    if (event.shellId !== this.#shellId) return;
    this.#exitCode = event.exitCode;
    if (!this.#catchingUp) this.#exit.resolve(event.exitCode);
  }

  /** Reads missed chunks until none is missing. */
  catchUp(): void {
    if (this.#shellId === undefined || this.#catchingUp || this.#hasLeft) return;
    this.#catchingUp = true;
    const round = this.#round;
    this.#read(this.#shellId, round).then(
      () => {
        if (round !== this.#round) return;
        this.#catchingUp = false;
        if (this.#newest >= this.#next) this.catchUp();
        else if (this.#exitCode !== undefined) this.#exit.resolve(this.#exitCode);
      },
      (error: unknown) => {
        if (round === this.#round) this.fail(error);
      },
    );
  }

  async #read(shellId: string, round: number): Promise<void> {
    const output = (await this.#invoke("readShell", [shellId, { after: this.#next - 1 }])) as ShellOutput;
    if (round !== this.#round) return;
    for (const chunk of output.chunks) if (chunk.seq >= this.#next) this.#deliver(chunk);
    // Chunks that the scrollback has dropped will not arrive.
    if (output.chunks.length === 0) this.#next = Math.max(this.#next, this.#newest + 1);
    if (!output.running && output.exitCode !== null) this.#exitCode = output.exitCode;
  }

  #deliver({ seq, data }: { seq: number; data: Uint8Array }): void {
    if (this.#hasLeft) return;
    this.#next = seq + 1;
    this.#newest = Math.max(this.#newest, seq);
    callBack(this.#onData, data);
  }
}
