import { setTimeout as delay } from "node:timers/promises";
import { sendSignal } from "../procfs/process-trees.ts";
import { readProc, statusField } from "../procfs/procfs.ts";

/**
 * Time for a shell to end after its hangup.
 * @unit ms
 * @past The server kills the shell and all processes below it.
 */
const HANGUP_GRACE_MS = 1000;
const HANGUP_PAUSE_MS = 100;

/** Searches for processes that missed the hangup, and the pause between them. */
const STRAGGLER_ROUNDS = 10;
const STRAGGLER_PAUSE_MS = 10;

/** The session of a terminal. */
interface HangupDeps {
  /** Lists the host pids of the session. */
  session(): number[];
  /** Host pid of the session's leader. */
  leader: number;
  /** Resolves when the terminal has ended. */
  exited: Promise<unknown>;
  kill(): void;
}

/** Sends SIGHUP to all processes of a terminal's session, and kills a session that does not end. */
export async function hangUpSession({ session, leader, exited, kill }: HangupDeps): Promise<void> {
  hangUp(session());
  // bash that is about to wait for input handles a signal only after the next signal.
  const again = setInterval(() => hangUp(session().filter((pid) => pid === leader)), HANGUP_PAUSE_MS);
  const timer = setTimeout(kill, HANGUP_GRACE_MS);
  await exited;
  clearInterval(again);
  clearTimeout(timer);
  // A child between fork and exec still has its shell's handler, and loses the signal with it.
  for (let round = 0; round < STRAGGLER_ROUNDS; round++) {
    const stragglers = session().filter(diesOfHangup);
    if (stragglers.length === 0) return;
    hangUp(stragglers);
    await delay(STRAGGLER_PAUSE_MS);
  }
}

function hangUp(pids: readonly number[]): void {
  for (const pid of pids) {
    sendSignal(pid, "SIGHUP");
    // A stopped process handles its SIGHUP only when it continues.
    sendSignal(pid, "SIGCONT");
  }
}

/** `true` for a process that neither ignores nor catches SIGHUP: see SigIgn and SigCgt in proc_pid_status(5). */
function diesOfHangup(pid: number): boolean {
  const status = readProc(`/proc/${pid}/status`) ?? "";
  const masks = ["SigIgn", "SigCgt"].map((name) => BigInt(`0x${statusField(status, name) ?? "0"}`));
  return masks.every((mask) => (mask & 1n) === 0n);
}
