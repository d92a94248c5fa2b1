import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";

/** Things of the host that a server holds, counted. */
export interface ServerResources {
  /** Open descriptors, except for sockets: clients keep connections open. */
  descriptors: number;
  /** Processes below the server, with those of its VMs. */
  processes: number;
  /** Mounts in the server's mount namespace. */
  mounts: number;
  /** Cgroups of the server, with those of its VMs, in all hierarchies. */
  cgroups: number;
  /** User ids of the processes below the server. */
  uids: number;
}

/** Counts the things of the host that a server holds. */
export function resourcesOf(server: number): ServerResources {
  const processes = descendantsOf(server);
  return {
    descriptors: list(`/proc/${server}/fd`).filter((fd) => !isSocket(`/proc/${server}/fd/${fd}`)).length,
    processes: processes.length,
    // Other programs on this machine mount too.
    mounts: read(`/proc/${server}/mountinfo`)
      .split("\n")
      .filter((line) => line.includes(`agent-vm-${server}-`)).length,
    cgroups: cgroupsOf(server),
    uids: new Set(processes.map((pid) => /^Uid:\s+(\d+)/m.exec(read(`/proc/${pid}/status`))?.[1])).size,
  };
}

export function descendantsOf(root: number): number[] {
  const children = list(`/proc/${root}/task`).flatMap((tid) =>
    read(`/proc/${root}/task/${tid}/children`).split(" ").filter(Boolean).map(Number),
  );
  return children.flatMap((pid) => [pid, ...descendantsOf(pid)]);
}

/** A server names its cgroups after its pid. They are below its own cgroup or beside it. */
function cgroupsOf(server: number): number {
  const parents = read(`/proc/${server}/cgroup`)
    .trim()
    .split("\n")
    .flatMap((line) => {
      const [, controllers = "", path = ""] = line.split(":");
      return [join("/sys/fs/cgroup", controllers, path), join("/sys/fs/cgroup", controllers, path, "..")];
    });
  const own = [...new Set(parents)].flatMap((parent) =>
    list(parent)
      .filter((name) => name.startsWith(`agent-vm-${server}-`))
      .map((name) => join(parent, name)),
  );
  return own.reduce((sum, path) => sum + foldersIn(path), 0);
}

function foldersIn(path: string): number {
  const entries = readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return entries.reduce((sum, { name }) => sum + foldersIn(join(path, name)), 1);
}

function isSocket(path: string): boolean {
  try {
    return readlinkSync(path).startsWith("socket:");
  } catch {
    // Closed meanwhile.
    return true;
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
