import type { WaitingForInputEvent } from "../../api/events.ts";
import { BackOff } from "../../base/back-off.ts";
import type { InputWait } from "../sandbox/processes.ts";
import type { VmServices } from "../vm-services.ts";

/** The kernel does not announce a wait, so the server looks: soon after output or input, then ever less often. */
const FIRST_DELAY_MS = 200;
const LONGEST_DELAY_MS = 2_000;
/** A look that takes long, in a VM of many processes, is followed by so many times its duration without one. */
const REST = 20;

/**
 * Knows which programs wait for input. Looks into the VM only when asked, and while somebody listens to `waitingForInput`
 * and a program runs that can get input.
 */
export class InputWatch {
  readonly #vm: Pick<VmServices, "liveSandbox" | "hasListeners" | "emit">;
  /** Running programs that can get input, by pid. */
  readonly #programs = new Map<number, { shellId: string | null; found?: InputWait; isTold?: boolean }>();
  #look: Promise<InputWait[]> | undefined;
  #timer: NodeJS.Timeout | undefined;
  readonly #delay = new BackOff(FIRST_DELAY_MS, LONGEST_DELAY_MS);
  /** `true` while a look runs, or comes within FIRST_DELAY_MS. */
  #isSoon = false;

  constructor(vm: Pick<VmServices, "liveSandbox" | "hasListeners" | "emit">) {
    this.#vm = vm;
  }

  /** Takes a program on whose input the API can write, until it ends. */
  add(pid: number, shellId: string | null, exited: Promise<unknown>): void {
    const program = { shellId };
    this.#programs.set(pid, program);
    void exited.then(() => {
      if (this.#programs.get(pid) === program) this.#programs.delete(pid);
    });
    this.touched();
  }

  /** A program has written, or gets input. */
  touched(): void {
    this.#delay.restart();
    if (!this.#isSoon) this.#schedule();
  }

  /** Pids of the programs of `add` that wait for input, or whose children do. */
  async waiting(): Promise<ReadonlySet<number>> {
    if (this.#programs.size === 0) return new Set();
    return new Set((await this.#waits()).flatMap(({ of }) => (of === undefined ? [] : [of])));
  }

  stop(): void {
    this.#programs.clear();
    clearTimeout(this.#timer);
  }

  /** Callers at the same time share one look. A VM that is down has no program that waits. */
  #waits(): Promise<InputWait[]> {
    const looking =
      this.#look ??
      this.#vm
        .liveSandbox()
        ?.processes?.inputWaits()
        .catch(() => []);
    this.#look = looking;
    void looking?.then(() => {
      if (this.#look === looking) this.#look = undefined;
    });
    return looking ?? Promise.resolve([]);
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    this.#isSoon = this.#delay.isFresh;
    this.#timer = setTimeout(() => void this.#check(), this.#delay.next()).unref();
  }

  async #check(): Promise<void> {
    this.#isSoon = true;
    const begun = performance.now();
    if (this.#programs.size > 0 && this.#vm.hasListeners("waitingForInput")) {
      const waits = new Map((await this.#waits()).map((wait) => [wait.of, wait]));
      for (const [pid, program] of this.#programs) this.#compare(pid, program, waits.get(pid));
    }
    this.#isSoon = false;
    this.#delay.stretch((performance.now() - begun) * REST);
    if (this.#programs.size > 0) this.#schedule();
  }

  /** Reports a wait once two looks have found it, and the program has not run in between. */
  #compare(
    pid: number,
    program: { shellId: string | null; found?: InputWait; isTold?: boolean },
    wait: InputWait | undefined,
  ): void {
    const { shellId, found } = program;
    const goesOn = found !== undefined && found.pid === wait?.pid && found.runs === wait.runs;
    if (!goesOn && program.isTold) {
      program.isTold = false;
      this.#emit({ shellId, pid, waiting: false });
    }
    program.found = wait;
    if (wait === undefined || program.isTold) return;
    if (found?.pid !== wait.pid) this.#delay.restart();
    if (!goesOn) return;
    program.isTold = true;
    this.#emit({ shellId, pid, waiting: true, waitingPid: wait.pid, command: wait.command });
  }

  #emit(event: WaitingForInputEvent): void {
    this.#vm.emit("waitingForInput", event);
  }
}
