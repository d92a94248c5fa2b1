import { AgentVmError } from "../api/errors.ts";
import type { CallTable, EndedCalls } from "./calls.ts";

/** The part of an actor whose state has the note. */
interface NotedActor {
  readonly state: { ended?: EndedCalls };
}

/** Tells the next instance of a VM, which may be on another server, which calls have begun. RivetKit stores the note. */
export class CallNote {
  readonly #actor: NotedActor;
  /** Settles when the note of the last instance is gone from storage. */
  #forgotten: Promise<void> | undefined;

  constructor(actor: NotedActor) {
    this.#actor = actor;
  }

  /** Writes the note, at the end of an instance. */
  write(calls: CallTable): void {
    const { state } = this.#actor;
    const ended = calls.ended();
    if (ended === undefined) delete state.ended;
    else state.ended = ended;
  }

  /**
   * Drops the note of the last instance, before the first call that it has left over begins.
   *
   * @param save stores the state
   * @throws AgentVmError `server_stopping` if that fails: the call has not begun, and the client repeats it, perhaps elsewhere
   */
  forget(save: () => Promise<void>): Promise<void> {
    this.#forgotten ??= this.#drop(save).catch((error: unknown) => {
      this.#forgotten = undefined;
      const text = "The VM's state could not be stored before the call";
      throw new AgentVmError("server_stopping", text, {}, { cause: error });
    });
    return this.#forgotten;
  }

  async #drop(save: () => Promise<void>): Promise<void> {
    const { state } = this.#actor;
    const note = state.ended;
    if (note === undefined) return;
    delete state.ended;
    try {
      await save();
    } catch (error) {
      state.ended = note;
      throw error;
    }
  }
}
