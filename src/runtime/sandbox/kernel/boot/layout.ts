import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
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
} from "../../sandbox.ts";
import { findTool, type Tools } from "../tools.ts";
import { hostCopy } from "./host-copy.ts";
import { CPU_FOLDER } from "./host-cpus.ts";
import { type HostMount, makeMountPoint, mountsOf, systemMounts, usrLinks } from "./host-mounts.ts";
import { type Mount, readMounts, readOnlyBindOptions } from "./mountinfo.ts";
import { programFolders } from "./program-folders.ts";
import { escapeFstab, Shield } from "./shield.ts";

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

/** How a VM's root is put together: a tree to copy and mounts to lay over it. */
export interface Layout {
  /** Folder whose content is copied into each VM's root. */
  template: string;
  hostMounts: HostMount[];
  /** fstab(5) lines of all mounts, with paths of a root at `rootPath`. */
  fstab(rootPath: string): string;
  /** Shell lines for what the host has mounted below folders since. They run after the mounts of `fstab`. */
  mountsBelow(rootPath: string): string[];
}

interface LayoutOptions {
  /** IANA name. @default UTC */
  timezone?: string | undefined;
  /** Further folders and links of a VM. */
  folders?: readonly string[];
  links?: readonly { path: string; target: string }[];
  /** Mounts `MEMORY_FILE` over /proc/meminfo. */
  showsMemory: boolean;
}

/** Writes the template tree and plans the mounts, once for all VMs of a factory. @param folder of the factory */
export async function prepareLayout(
  folder: string,
  provisions: readonly Provision[],
  tools: Tools,
  { timezone, folders = [], links = [], showsMemory }: LayoutOptions,
): Promise<Layout> {
  const template = join(folder, "template");
  const data = HOST_DATA.filter((path) => existsSync(path));
  mkdirSync(template, { recursive: true });
  chmodSync(template, 0o755);
  const mounts = readMounts();
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
    mkdirSync(join(template, folder), { recursive: true });
  for (const folder of SHARED_FOLDERS) {
    mkdirSync(join(template, folder), { recursive: true });
    chmodSync(join(template, folder), 0o1777);
  }
  for (const [name, target] of LINKS) symlinkSync(target, join(template, name));
  for (const name of DEVICES) writeFileSync(join(template, "dev", name), "");
  for (const [name, text] of Object.entries(ETC_FILES))
    writeFileSync(join(template, "etc", name), `${text}\n`);
  writeFileSync(join(template, EMPTY_FILE), "", { mode: 0o444 });
  if (showsMemory) writeFileSync(join(template, MEMORY_FILE), "");
  for (const [name, target] of usrLinks()) symlinkSync(target, join(template, name));
  for (const provision of [{ links }, ...provisions]) place(provision, template);
  for (const mount of hostMounts) makeMountPoint(template, mount);
  for (const path of data) symlinkSync(HOST_FOLDER + path, join(template, path));
  linkMissing(join(host, "etc"), "/etc", template);
  return {
    template,
    hostMounts,
    fstab: (rootPath) => fstab(rootPath, hostMounts, mounts, shield),
    mountsBelow: (rootPath) => shield.mountsBelow(rootPath, hostMounts),
  };
}

/** Puts a provision's files and links into the template. */
function place({ files = [], links = [] }: Provision, template: string): void {
  for (const { path } of [...files, ...links]) mkdirSync(join(template, dirname(path)), { recursive: true });
  for (const { path, content, executable } of files) {
    writeFileSync(join(template, path), content);
    chmodSync(join(template, path), executable ? 0o755 : 0o644);
  }
  for (const { path, target } of links) symlinkSync(target, join(template, path));
}

/** Links the entries of the host's configuration that the template does not have itself. */
function linkMissing(source: string, path: string, template: string): void {
  for (const name of readdirSync(source)) {
    const at = join(path, name);
    const there = lstatSync(join(template, at), { throwIfNoEntry: false });
    if (there === undefined) symlinkSync(HOST_FOLDER + at, join(template, at));
    else if (there.isDirectory()) linkMissing(join(source, name), at, template);
  }
}

/**
 * The program to copy as a VM's init. Where cat is a script or a multi-call program that needs its own name and text,
 * there is none, and init runs the host's cat as it is.
 */
export function initSource(): string | undefined {
  const cat = findTool("cat");
  if (cat === undefined) return undefined;
  const path = realpathSync(cat);
  return readFileSync(path).subarray(0, 4).toString("latin1") === "\x7fELF" ? path : undefined;
}

function fstab(
  rootPath: string,
  hostMounts: readonly HostMount[],
  mounts: readonly Mount[],
  shield: Shield,
): string {
  const at = (path: string) => escapeFstab(`${rootPath}${path}`);
  const lines: string[] = [];
  for (const { source, target, optional, layer } of hostMounts) {
    const options = `${optional ? "nofail," : ""}${readOnlyBindOptions(source, mounts)}`;
    if (layer !== undefined)
      lines.push(`overlay ${at(target)} overlay ${options},${escapeFstab(shield.layers(layer))} 0 0`);
    // `ro` reaches the topmost mount only; the boot seals the mounts below it.
    else lines.push(`${escapeFstab(source)} ${at(target)} none rbind,${options} 0 0`);
  }
  for (const name of DEVICES) lines.push(`/dev/${name} ${at(`/dev/${name}`)} none bind 0 0`);
  lines.push(
    `devpts ${at("/dev/pts")} devpts newinstance,max=${MAX_TERMINALS},ptmxmode=0666,mode=0620,nosuid,noexec 0 0`,
  );
  // That of the boot's own pid namespace: the VM's may only be mounted where a whole one is visible, and lies over it.
  lines.push(`proc ${at("/proc")} proc nosuid,nodev,noexec 0 0`);
  return `${lines.join("\n")}\n`;
}

/** fstab(5) lines that show a VM its cgroup and memory, with paths of a root at `rootPath`. */
export function limitsFstab(rootPath: string, mounts: readonly { source: string; target: string }[]): string {
  return mounts
    .map(
      ({ source, target }) =>
        `${escapeFstab(source)} ${escapeFstab(rootPath + target)} none bind,ro,nosuid,nodev,noexec 0 0\n`,
    )
    .join("");
}
