import { existsSync, readdirSync, realpathSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { INSTRUCTIONS, INSTRUCTIONS_PATH } from "../../instructions.ts";
import type { Provision } from "../../provision.ts";
import {
  HOST_FOLDER,
  NODE_FOLDER,
  RUN_FOLDER,
  VM_HOME,
  VM_HOSTNAME,
  VM_UID,
  VM_USER,
} from "../../vm-layout.ts";
import type { Tools } from "../tools.ts";
import { hostCopy } from "./host-copy.ts";
import { CPU_FOLDER } from "./host-cpus.ts";
import { type HostMount, makeMountPoint, mountsOf, systemMounts, usrLinks } from "./host-mounts.ts";
import { forbidsPrograms, type Mount, readMounts } from "./mountinfo.ts";
import { type PlannedMount, PlannedTree } from "./plan.ts";
import { programFolders } from "./program-folders.ts";
import { Shield } from "./shield.ts";

/** Init is a copy of cat(1) that nobody may read: the kernel lets no process of the VM trace it. */
export const INIT_PATH = `${RUN_FOLDER}/cat`;

/** An empty file, in the place of each hidden file of /proc. */
export const EMPTY_FILE = `${RUN_FOLDER}/empty`;

/** Mount point of the VM's memory as /proc/meminfo shows it. */
export const MEMORY_FILE = `${RUN_FOLDER}/meminfo`;

/** Folders of a fresh VM, all its user's own. */
const FOLDERS = [
  "home/agentos",
  "workspace",
  "root",
  "var/log",
  "var/cache",
  "var/lib",
  "opt",
  "mnt",
  "srv",
  "etc/agentos",
  "proc",
  "dev/pts",
  relative("/", dirname(CPU_FOLDER)),
];

/** Folders where everyone may write and only the owner may delete. */
const SHARED_FOLDERS = ["tmp", "var/tmp", "dev/shm"];

const LINKS: readonly [string, string][] = [
  ["home/user", VM_HOME],
  ["dev/fd", "/proc/self/fd"],
  ["dev/stdin", "/proc/self/fd/0"],
  ["dev/stdout", "/proc/self/fd/1"],
  ["dev/stderr", "/proc/self/fd/2"],
  ["dev/ptmx", "pts/ptmx"],
  ["var/run", "/run"],
  ["var/lock", "/run"],
  [relative("/", CPU_FOLDER), `${HOST_FOLDER}/cpu`],
  ["etc/mtab", "../proc/self/mounts"],
  ["etc/os-release", "../usr/lib/os-release"],
];

const DEVICES = ["null", "zero", "full", "random", "urandom", "tty"];

/** Data about packages and of packages, to which /usr has links. The VM has links to it too, which its user may replace. */
const HOST_DATA = ["/var/lib/dpkg", "/var/lib/ghostscript", "/var/lib/texmf"];

const ETC_FILES: Record<string, string> = {
  passwd: [
    `${VM_USER}:x:${VM_UID}:${VM_UID}:${VM_USER}:${VM_HOME}:/bin/bash`,
    "root:x:0:0:root:/root:/bin/bash",
    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin",
  ].join("\n"),
  group: [`${VM_USER}:x:${VM_UID}:`, "root:x:0:", "tty:x:5:", "nogroup:x:65534:"].join("\n"),
  hosts: `127.0.0.1 localhost\n127.0.0.1 ${VM_HOSTNAME}\n::1 localhost ip6-localhost ip6-loopback`,
  hostname: VM_HOSTNAME,
  "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files",
  "resolv.conf": "",
  "host.conf": "multi on",
  shells: "/bin/sh\n/bin/bash",
  [relative("/etc", INSTRUCTIONS_PATH)]: INSTRUCTIONS.trimEnd(),
};

/**
 * Pseudo-terminals of one VM: its shells, and the terminals that its programs open.
 * @unit terminals
 * @past Opening another terminal fails with ENOSPC, and `openShell` throws.
 * @code vm_stopped
 */
const MAX_TERMINALS = 128;

interface LayoutOptions {
  /** IANA name. @default UTC */
  timezone?: string | undefined;
  /** Further folders and links of a VM. */
  folders?: readonly string[];
  links?: readonly { path: string; target: string }[];
  /** Mounts `MEMORY_FILE` over /proc/meminfo. */
  showsMemory: boolean;
}

/** Plans the root of all VMs of a factory. @param folder of the factory @returns the plan for `boot.pl` */
export async function planLayout(
  folder: string,
  provisions: readonly Provision[],
  tools: Tools,
  { timezone, folders = [], links = [], showsMemory }: LayoutOptions,
): Promise<Buffer> {
  const tree = new PlannedTree();
  const data = HOST_DATA.filter((path) => existsSync(path));
  const callers = provisions.flatMap(({ callers = [] }) => callers);
  const host = await hostCopy({ timezone, data, callers }, tools);
  const shield = new Shield(join(folder, "shared"), tools);
  const shared = provisions.map((provision) => {
    const found = mountsOf(provision);
    return provision.plain ? found : Promise.all(found.map((mount) => shield.cover(mount)));
  });
  const hostMounts = [
    ...systemMounts(),
    { source: host, target: HOST_FOLDER },
    ...data.map((path) => ({ source: realpathSync(path), target: HOST_FOLDER + path })),
    ...(await Promise.all(shared)).flat(),
  ];
  for (const folder of [...FOLDERS, ...programFolders(), ...folders, RUN_FOLDER, `${NODE_FOLDER}/bin`])
    tree.directory(folder);
  for (const folder of SHARED_FOLDERS) tree.directory(folder, "1777");
  for (const [name, target] of LINKS) tree.link(name, target);
  for (const name of DEVICES) tree.file(`dev/${name}`);
  for (const [name, text] of Object.entries(ETC_FILES)) tree.file(`etc/${name}`, `${text}\n`);
  tree.file(EMPTY_FILE, "", "444");
  if (showsMemory) tree.file(MEMORY_FILE);
  for (const [name, target] of usrLinks()) tree.link(name, target);
  for (const { files = [], links: own = [] } of [{ links }, ...provisions]) {
    for (const { path, content, executable } of files) tree.file(path, content, executable ? "755" : "");
    for (const { path, target } of own) tree.link(path, target);
  }
  for (const mount of hostMounts) makeMountPoint(tree, mount);
  for (const path of data) tree.link(path, HOST_FOLDER + path);
  linkMissing(join(host, "etc"), "/etc", tree);
  const mounts = readMounts();
  return tree.encode([
    ...hostMounts.map((mount) => planned(mount, mounts, shield)),
    ...hostMounts.flatMap(({ source, target, layer }): PlannedMount[] =>
      layer === undefined ? [] : [{ kind: "below", path: target, what: source, more: shield.empty }],
    ),
    ...DEVICES.map((name): PlannedMount => ({ kind: "device", path: `/dev/${name}`, what: `/dev/${name}` })),
    {
      kind: "terminals",
      path: "/dev/pts",
      what: `newinstance,max=${MAX_TERMINALS},ptmxmode=0666,mode=0620`,
    },
    { kind: "processes", path: "/proc" },
  ]);
}

function planned(
  { source, target, optional, layer }: HostMount,
  mounts: readonly Mount[],
  shield: Shield,
): PlannedMount {
  if (layer === undefined)
    return { kind: "folder", path: target, what: source, more: optional ? "optional" : "" };
  const more = `${forbidsPrograms(source, mounts) ? "noexec " : ""}${optional ? "optional" : ""}`;
  return { kind: "layers", path: target, what: shield.layers(layer), more };
}

/** Links the entries of the host's configuration that the tree does not have itself. */
function linkMissing(source: string, path: string, tree: PlannedTree): void {
  for (const name of readdirSync(source)) {
    const at = join(path, name);
    const kind = tree.kindOf(at);
    if (kind === undefined) tree.link(at, HOST_FOLDER + at);
    else if (kind === "directory") linkMissing(join(source, name), at, tree);
  }
}
