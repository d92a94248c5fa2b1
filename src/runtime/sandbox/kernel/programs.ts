/** While no known program runs, the VM's processes are looked at this often at most. */
const LOOK_MS = 100;

/** Whether programs may run in a VM, and hold the locks of its files. */
export class Programs {
  readonly #look: () => boolean;
  #running = 0;
  #mayRun = false;
  #nextLook = 0;

  /** @param look whether the VM has a process that a program may have started */
  constructor(look: () => boolean) {
    this.#look = look;
  }

  get mayRun(): boolean {
    if (!this.#mayRun || this.#running > 0) return this.#mayRun;
    const now = performance.now();
    if (now < this.#nextLook) return true;
    this.#nextLook = now + LOOK_MS;
    this.#mayRun = this.#look();
    return this.#mayRun;
  }

  /** Starts a program. It counts from before its start to its end, and what it leaves behind as long as it runs. */
  async start<Program extends { readonly exited: Promise<unknown> }>(
    start: () => Promise<Program>,
  ): Promise<Program> {
    this.#running += 1;
    this.#mayRun = true;
    const ended = () => {
      this.#running -= 1;
      this.#nextLook = 0;
    };
    try {
      const program = await start();
      void program.exited.then(ended, ended);
      return program;
    } catch (error) {
      ended();
      throw error;
    }
  }
}
