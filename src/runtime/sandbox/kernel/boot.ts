import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, constants, openSync } from "node:fs";
import { AgentVmError } from "../../../api/errors.ts";
import type { VmLimits } from "../../options.ts";
import { VM_HOSTNAME, VM_UID } from "../sandbox.ts";
import { quote } from "../shell-word.ts";
import type { Layout } from "./layout.ts";
import { INIT_PATH, initSource } from "./layout.ts";
import { childrenOf } from "./procfs.ts";
import { reapedCpu } from "./start/reaped-cpu.ts";
import { SYSTEM_PATH, type Tools } from "./tools.ts";

/** A VM that does not come up within this time never will. */
const BOOT_TIMEOUT_MS = 30_000;

/** What the API may start when the VM's own processes have reached their limit. */
export const RESERVED_PROCESSES = 16;

/** What the server writes to init, and init, a cat(1), writes back. */
const READY = "ready";

const MAX_BOOT_ERROR_BYTES = 8192;

/** The namespaces of one VM, held by its init. */
export interface BootedVm {
  /** The process outside that waits for the VM's end. */
  keeper: ChildProcess;
  /** Init's pid as the host sees it. */
  initPid: number;
  /** O_PATH descriptors of the VM's root and of its own procfs, taken before anything ran inside. */
  rootFd: number;
  procFd: number;
}

export interface BootRequest {
  layout: Layout;
  /** An empty folder of the host that serves as mount point in the VM's own mount namespace. */
  mountPoint: string;
  /** fstab(5) for `mountPoint`. */
  fstabPath: string;
  limits: VmLimits;
  /** Host uid and gid of the VM under a root server; `null`: the server's own. */
  owner: { uid: number; gid: number } | null;
  tools: Tools;
  signal: AbortSignal;
}

/**
 * Builds a VM's root in a mount namespace of its own and starts its init in the VM's namespaces. Two user namespaces
 * for an ordinary user: devpts needs uid 0 mapped, the VM's user is 1000, and an unprivileged process may only enter
 * namespaces that the innermost one owns. A root server makes the mounts as real root, since a tmpfs mounted inside a
 * user namespace answers the server's own writes with EOVERFLOW.
 *
 * Two pid namespaces as well. The VM's procfs can only be mounted where another one can be seen, and stays on top of
 * it: the one below is that of the outer namespace, in which there is nothing but this boot, and not the host's.
 *
 * Boot programs hold capabilities over the VM's namespaces and load libraries from the VM's root. So nobody may write
 * there before the last of them has gone: a VM is ready when init itself, without any, answers.
 */
export async function bootVm(request: BootRequest): Promise<BootedVm> {
  const { tools, owner, signal } = request;
  signal.throwIfAborted();
  const namespaces = [
    ...(owner === null ? ["--user", "--map-root-user"] : []),
    "--pid",
    "--fork",
    "--kill-child",
  ];
  const build = [tools.unshare, "--mount", "--", tools.sh, "-c", stageOne(request)];
  // The mount namespace comes after the fork: the keeper, under a root server root itself, stays outside.
  const keeper = spawn(tools.unshare, [...namespaces, "--", ...build], {
    // Init reads its stdin for ever; its end, with the server's, is the end of the VM.
    stdio: ["pipe", "pipe", "pipe"],
    cwd: "/",
    env: { PATH: SYSTEM_PATH },
    detached: true,
  });
  keeper.once("exit", () => void reapedCpu.ofExit());
  // A write to an init that is gone must not end the server.
  keeper.stdin?.on("error", () => keeper.stdin?.destroy());
  try {
    keeper.stdin?.write(`${READY}\n`);
    await untilReady(keeper, signal);
    const initPid = childrenOf(keeper.pid as number).flatMap(childrenOf)[0];
    if (initPid === undefined) throw bootFailed("init has ended");
    const rootFd = openSync(`/proc/${initPid}/root`, constants.O_DIRECTORY | O_PATH);
    try {
      const procFd = openSync(
        `/proc/self/fd/${rootFd}/proc`,
        constants.O_DIRECTORY | constants.O_NOFOLLOW | O_PATH,
      );
      return { keeper, initPid, rootFd, procFd };
    } catch (error) {
      closeSync(rootFd);
      throw error;
    }
  } catch (error) {
    await endKeeper(keeper);
    throw error;
  }
}

/** Not among Node's constants; the same on every architecture Node runs on. */
export const O_PATH = 0o10000000;

/** Ends the VM: the kernel kills every process of the outer pid namespace, and so of the VM's, when its first goes. */
export async function endKeeper(keeper: ChildProcess): Promise<void> {
  keeper.stdin?.destroy();
  keeper.stdout?.destroy();
  keeper.stderr?.destroy();
  if (keeper.exitCode !== null || keeper.signalCode !== null || keeper.pid === undefined) return;
  const ended = new Promise<void>((resolve) => keeper.once("exit", () => resolve()));
  const first = childrenOf(keeper.pid);
  // The keeper waits for it, and ends by itself; a server that is the host's init could not wait in its place.
  for (const pid of first) killQuietly(pid);
  if (first.length === 0) killQuietly(keeper.pid);
  await ended;
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended by itself.
  }
}

function untilReady(keeper: ChildProcess, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    let errors = "";
    let output = "";
    const timer = setTimeout(
      () => settle(bootFailed(`no answer within ${BOOT_TIMEOUT_MS} ms`)),
      BOOT_TIMEOUT_MS,
    );
    const onAbort = () => settle(signal.reason as Error);
    const onExit = (code: number | null) =>
      settle(bootFailed(errors.trim() || `the boot script ended with ${code}`));
    const settle = (error?: Error) => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      keeper.off("close", onExit);
      if (error === undefined) resolve();
      else reject(error);
    };
    signal.addEventListener("abort", onAbort, { once: true });
    keeper.once("error", (error) => settle(bootFailed(error.message)));
    keeper.once("close", onExit);
    keeper.stderr?.setEncoding("utf8").on("data", (text: string) => {
      if (errors.length < MAX_BOOT_ERROR_BYTES) errors += text;
    });
    keeper.stdout?.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      if (output.includes(`${READY}\n`)) settle();
    });
  });
}

function bootFailed(detail: string): AgentVmError {
  return new AgentVmError("boot_failed", `The VM did not boot: ${detail}`, { detail });
}

/** In the new mount namespace, as root or mapped root: put the tree together, make it the root, go on inside. */
function stageOne({ layout, mountPoint, fstabPath, limits, owner, tools }: BootRequest): string {
  const size = `size=${limits.filesystemBytes},nr_inodes=${limits.inodes},mode=755,nosuid,nodev`;
  const ownership = owner === null ? "" : `,uid=${owner.uid},gid=${owner.gid}`;
  const init = initSource();
  const installOwner = owner === null ? "" : `-o ${owner.uid} -g ${owner.gid} `;
  const asOwner =
    owner === null ? "" : `${tools.setpriv} --reuid ${owner.uid} --regid ${owner.gid} --clear-groups `;
  const inside = [
    // No user namespaces inside: each is a way into kernel code that a VM has no need of.
    "echo 0 > /proc/sys/user/max_user_namespaces",
    tools.hostname === undefined ? ":" : `${tools.hostname} ${VM_HOSTNAME}`,
    loopbackUp(tools),
    // The kernel reaps orphans for an init that ignores SIGCHLD.
    `exec ${tools.setpriv} --no-new-privs --inh-caps=-all --ambient-caps=-all --bounding-set=-all -- ` +
      `${tools.env} -i --ignore-signal=CHLD ${init === undefined ? tools.cat : INIT_PATH} 2>/dev/null`,
  ].join("\n");
  return [
    "set -e",
    "umask 022",
    `${tools.mount} -n -t tmpfs -o ${quote(size + ownership)} agent-vm ${quote(mountPoint)}`,
    `${asOwner}${tools.cp} -a --no-preserve=ownership ${quote(`${layout.template}/.`)} ${quote(`${mountPoint}/`)}`,
    // Owned by the VM's user, else the server itself could not look at init; unreadable, so that the VM cannot.
    init === undefined
      ? ":"
      : `${tools.install} -m 0111 ${installOwner}${quote(init)} ${quote(mountPoint + INIT_PATH)}`,
    `${tools.mount} -n -a -T ${quote(fstabPath)}`,
    `cd ${quote(mountPoint)}`,
    `${tools.pivot_root} . .`,
    `${tools.umount} -n -l .`,
    "cd /",
    `exec ${asOwner}${owner === null ? "" : "--inh-caps=-all "}${tools.prlimit} --nproc=${limits.processes + RESERVED_PROCESSES} --core=0 ` +
      `${tools.unshare} --user --map-user=${VM_UID} --map-group=${VM_UID} --keep-caps --mount --pid --net --ipc --uts ` +
      `--fork --kill-child --mount-proc -- ${tools.sh} -c ${quote(inside)}`,
  ].join("\n");
}

function loopbackUp(tools: Tools): string {
  if (tools.ip !== undefined) return `${tools.ip} link set lo up`;
  if (tools.perl === undefined) return ":";
  // SIOCSIFFLAGS with IFF_UP | IFF_RUNNING.
  return `${tools.perl} -e 'socket(S,2,2,0)&&ioctl(S,0x8914,pack("a16sx14","lo",0x41))'`;
}
