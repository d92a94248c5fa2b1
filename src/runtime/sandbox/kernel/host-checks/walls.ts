import { hasOwnUids, lackOfOwnUids } from "../../own-uids.ts";
import { interceptionSupport } from "../network/interception-support.ts";
import { cgroupSupport } from "../processes/cgroup.ts";
import { readProc } from "../procfs/procfs.ts";
import { seccompSupport } from "../seccomp/support.ts";
import { type Check, run, wanted } from "./check.ts";

const MAY_MOUNT = ["--user", "--map-root-user", "--mount"];

const isRoot = () => process.getuid?.() === 0;

/** The user of VMs. An ordinary user's server has no choice; a root server that shares its uid is in a container. */
export function checkUser(): Check {
  const lack = lackOfOwnUids();
  return wanted({
    name: "user of VMs",
    isThere: lack === undefined || !isRoot(),
    detail: lack === undefined ? "each VM has a uid of its own" : `the server's own: ${lack}`,
    fixes: [
      "Run the server as an ordinary user (--user 1000, Kubernetes: runAsUser), or give root these capabilities and 65,536 uids.",
    ],
  });
}

/** The kernel counts no processes of the host's root. Without a cgroup nothing else does. */
export function countsProcesses(): boolean {
  if (hasOwnUids() || !isRoot() || cgroupSupport().create !== undefined) return true;
  // This process is one already, so that a second is refused if the limit holds.
  const trial = ["prlimit", "--nproc=1", "--", "unshare", "--fork", "true"];
  return !run("unshare", ["--user", "--map-root-user", "--", ...trial]).ok;
}

export function checkProcessLimit(): Check {
  const ok = countsProcesses();
  return wanted({
    name: "process limit",
    isThere: ok,
    detail: ok
      ? "limits.processes holds"
      : "limits.processes does not hold: the kernel counts no processes of root",
    fixes: ["Run the server as an ordinary user (--user 1000, Kubernetes: runAsUser)."],
  });
}

export function checkCgroups(): Check {
  const { description, sharesCpu } = cgroupSupport();
  return wanted({
    name: "cgroups",
    isThere: sharesCpu,
    detail: description,
    fixes: ["Run as root, or as a systemd unit with Delegate=yes."],
  });
}

export function checkSeccomp(): Check {
  const { description, filter } = seccompSupport("default");
  return wanted({
    name: "system calls",
    isThere: filter !== "",
    detail: description,
    fixes: ["Use a kernel with CONFIG_SECCOMP_FILTER: without the filter, VMs reach more of the kernel."],
  });
}

/** System V memory has a limit if the root of a user namespace may set it. */
export function checkSharedMemory(): Check {
  const namespaces = hasOwnUids() ? ["--ipc"] : ["--user", "--map-root-user", "--ipc"];
  const { ok } = run("unshare", [...namespaces, "sh", "-c", "echo 1 > /proc/sys/kernel/shmall"]);
  return wanted({
    name: "shared memory",
    isThere: ok,
    detail: ok ? "System V memory is limited" : "System V memory is not limited",
    fixes: ["Run as root, or use Linux 6.9 or newer."],
  });
}

const EPOLL_WATCHES = "/proc/sys/fs/epoll/max_user_watches";
/** The largest number that the kernel takes. */
const UNLIMITED_WATCHES = 2 ** 31 - 1;

/**
 * Watches of epoll that all VMs and the server share, because they have one uid. Node aborts when none is left. `undefined` if one VM
 * cannot take them all: it has a uid of its own, or the memory of its cgroup ends first.
 */
export function sharedWatches(): number | undefined {
  const most = Number(readProc(EPOLL_WATCHES) ?? UNLIMITED_WATCHES);
  const isBounded = most >= UNLIMITED_WATCHES && cgroupSupport().create !== undefined;
  return hasOwnUids() || isBounded ? undefined : most;
}

export function checkWatches(): Check {
  const shared = sharedWatches();
  return wanted({
    name: "watches of epoll",
    isThere: shared === undefined,
    detail:
      shared === undefined
        ? "a VM cannot take those of the server"
        : `one VM can take all ${shared} of the server's user, which ends the server`,
    fixes: [
      `Run the server as root, so that each VM has a uid of its own. Or, with cgroups: sysctl fs.epoll.max_user_watches=${UNLIMITED_WATCHES}`,
    ],
  });
}

/** At a hard limit of 0 the kernel starts a handler of core dumps that is a program. Only a right over limits raises it. */
export function checkCores(): Check {
  const isProgram = (readProc("/proc/sys/kernel/core_pattern") ?? "").startsWith("|");
  const there = !isProgram || run("prlimit", ["--core=1:1", "true"]).ok;
  return wanted({
    name: "core dumps",
    isThere: there,
    detail: there
      ? "no program of a VM leaves one"
      : "programs of VMs start the host's handler of core dumps",
    fixes: ["Start the server with a hard limit of core files that is not 0 (LimitCORE=1, --ulimit core=1)."],
  });
}

/** Through an overlay, a folder of the host has no sockets and FIFOs of the host's daemons. */
export function checkSharedFolders(): Check {
  const namespaces = hasOwnUids() ? ["--mount"] : MAY_MOUNT;
  // Container runtimes mount files below /etc, of which the kernel makes no layer.
  const trial = ["mount", "-t", "overlay", "-o", "ro,lowerdir=/usr/bin:/usr/lib", "overlay", "/usr"];
  const { ok } = run("unshare", [...namespaces, ...trial]);
  return wanted({
    name: "shared folders",
    isThere: ok,
    detail: ok ? "VMs reach no socket or FIFO in them" : "VMs reach sockets and FIFOs in them",
    fixes: ["Use a kernel with overlayfs, since Linux 5.11 for an ordinary user."],
  });
}

/** Without it, programs that have no proxy support reach nothing, whatever the policy says. */
export async function checkNetwork(): Promise<Check> {
  const { way, description } = await interceptionSupport();
  return wanted({
    name: "network",
    isThere: way === "redirection",
    detail: description,
    fixes: ["Use a kernel with nf_tables, its redirection and TPROXY (nft_redir, nft_tproxy)."],
  });
}
