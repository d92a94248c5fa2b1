import type { ProcessOutput, SpawnedProcessInfo } from "../../api/types.ts";
import type { ExitStatus } from "../sandbox/sandbox.ts";

/** A process of before the VM's last boot: only its record is left. */
export class PastProcess {
  readonly info: SpawnedProcessInfo;
  readonly pendingStdin = 0;

  constructor(info: SpawnedProcessInfo) {
    this.info = info;
  }

  get pid(): number {
    return this.info.pid;
  }

  get exited(): Promise<ExitStatus> {
    const { exitCode, signal } = this.info;
    return Promise.resolve({ exitCode: exitCode ?? 0, signal: signal as NodeJS.Signals | null });
  }

  writeStdin(): void {
    // As after the end of any process.
  }

  closeStdin(): void {
    // As after the end of any process.
  }

  signal(): void {
    // As after the end of any process.
  }

  output(): ProcessOutput {
    return { chunks: [], truncated: true, running: false, exitCode: this.info.exitCode };
  }
}
