import { constants } from "node:os";
import { vmStopped } from "../../../../api/errors.ts";
import type { SpawnRequest } from "../../sandbox.ts";
import { processStartTime } from "../procfs.ts";
import { commandTree, killAll, sendSignal } from "../tree.ts";
import {
  type CommandEnd,
  type CommandStarter,
  CwdError,
  type Entry,
  type StartedCommand,
  StarterLost,
} from "./command.ts";
import { launchScript, NO_CWD, WITH_STDIN, WITHOUT_STDIN } from "./launch-script.ts";
import type { Launcher } from "./launcher.ts";
import { LauncherPool } from "./launcher-pool.ts";
import { UsageSampler } from "./usage.ts";

/** A process of the VM may kill a launcher that waits; a command that has not begun is started again. */
const MAX_TRIES = 4;

/** Starts each command through an entry of its own. Slower than a spawner, but needs nothing beyond util-linux and sh. */
export class LauncherStarter implements CommandStarter {
  readonly #entry: Entry;
  readonly #launchers: LauncherPool;
  /** Each command has a parent of its own, which ends with it. */
  readonly hostPids: readonly number[] = [];
  #closed = false;

  constructor(entry: Entry) {
    this.#entry = entry;
    this.#launchers = new LauncherPool(entry);
  }

  async start(request: SpawnRequest): Promise<StartedCommand> {
    for (let tries = 1; ; tries++) {
      const launcher = await this.#launchers.take();
      try {
        return await this.#launch(launcher, request);
      } catch (error) {
        launcher.abandon();
        if (this.#closed) throw vmStopped();
        if (!(error instanceof StarterLost) || tries === MAX_TRIES) throw error;
      }
    }
  }

  close(): Promise<void> {
    this.#closed = true;
    return this.#launchers.close();
  }

  async #launch(launcher: Launcher, request: SpawnRequest): Promise<StartedCommand> {
    const { processes, openFiles, tools, initPid } = this.#entry;
    const redirection = request.stdin ? WITH_STDIN : WITHOUT_STDIN;
    const script = launchScript(request, { processes, openFiles, env: tools.env }, redirection);
    const { pid, hostPid, nsenterPid, tag } = launcher;
    const startTime = processStartTime(hostPid);
    // From before the start: a command may be over before it can be looked at.
    const usage = new UsageSampler(hostPid);
    try {
      const answer = await launcher.launch(script);
      if (answer === NO_CWD) throw new CwdError(request.cwd);
    } catch (error) {
      usage.stop();
      throw error;
    }
    const wake = () => {
      // nsenter stops with a child that is stopped, and does not see it end before it is woken.
      if (launcher.isAlive) sendSignal(nsenterPid, "SIGCONT");
    };
    return {
      pid,
      ...launcher.pipes,
      ended: end(launcher, usage),
      signal: (signal) => {
        // A host pid is only ours as long as it names the process that we started.
        if (!launcher.isAlive || processStartTime(hostPid) !== startTime) return;
        // The command itself, never nsenter: nsenter dies of a signal that its child catches.
        sendSignal(hostPid, signal);
        if (signal === constants.signals.SIGCONT || signal === constants.signals.SIGKILL) wake();
      },
      killTree: async () => {
        await killAll(() => commandTree(hostPid, initPid, tag));
        wake();
      },
      release: wake,
    };
  }
}

async function end(launcher: Launcher, sampler: UsageSampler): Promise<CommandEnd> {
  const { code, signal, cpuMs: reapedCpuMs = 0 } = await launcher.exited;
  sampler.stop();
  const { cpuMs, maxRssBytes } = sampler.usage;
  return { code, signal, usage: { cpuMs: Math.max(cpuMs, reapedCpuMs), maxRssBytes } };
}
