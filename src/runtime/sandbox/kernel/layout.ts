import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, relative } from "node:path";
import type { SoftwareMount } from "../../options.ts";
import { INSTRUCTIONS, INSTRUCTIONS_PATH } from "../instructions.ts";
import { NODE_FOLDER, VM_HOME, VM_HOSTNAME, VM_UID, VM_USER } from "../sandbox.ts";
import type { HostNode } from "./host-node.ts";
import { isBelow, type Mount, readMounts, readOnlyBindOptions } from "./mountinfo.ts";
import { findTool } from "./tools.ts";

/** What the server itself puts into a VM: its init, its Node, its job files. */
export const RUN_FOLDER = "/run/agentos";

/** Init is a copy of cat(1) that nobody may read: the kernel lets no process of the VM trace it. */
export const INIT_PATH = `${RUN_FOLDER}/cat`;

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
  ["etc/mtab", "../proc/self/mounts"],
  ["etc/os-release", "../usr/lib/os-release"],
];

/** Where /usr is merged these are links on the host too; where it is not, they are folders of their own. */
const USR_LINKS = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];

const DEVICES = ["null", "zero", "full", "random", "urandom", "tty"];

/** Public configuration of the host that programs need: certificates, alternatives, the linker's cache. */
const HOST_CONFIGURATION = [
  "/etc/ssl/certs",
  "/etc/ssl/openssl.cnf",
  "/etc/pki/ca-trust/extracted",
  "/etc/pki/tls/certs",
  "/etc/pki/tls/openssl.cnf",
  "/etc/ca-certificates/extracted",
  "/etc/crypto-policies",
  "/etc/alternatives",
  "/etc/ld.so.cache",
  "/etc/ld.so.conf",
  "/etc/ld.so.conf.d",
  "/etc/terminfo",
  "/etc/mime.types",
  "/etc/protocols",
  "/etc/services",
];

const ETC_FILES: Record<string, string> = {
  passwd: [
    `${VM_USER}:x:${VM_UID}:${VM_UID}:${VM_USER}:${VM_HOME}:/bin/bash`,
    "root:x:0:0:root:/root:/bin/bash",
    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin",
  ].join("\n"),
  group: [`${VM_USER}:x:${VM_UID}:`, "root:x:0:", "tty:x:5:", "nogroup:x:65534:"].join("\n"),
  hosts: `127.0.0.1 localhost ${VM_HOSTNAME}\n::1 localhost ip6-localhost ip6-loopback`,
  hostname: VM_HOSTNAME,
  "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files",
  "resolv.conf": "",
  "host.conf": "multi on",
  shells: "/bin/sh\n/bin/bash",
  [relative("/etc", INSTRUCTIONS_PATH)]: INSTRUCTIONS.trimEnd(),
};

/** A host path that a VM sees read-only. */
export interface HostMount {
  source: string;
  target: string;
  /** Left out of VMs that boot after it has gone. @default false */
  optional?: boolean;
}

/** How a VM's root is put together: a tree to copy and mounts to lay over it. */
export interface Layout {
  /** Folder whose content is copied into each VM's root. */
  template: string;
  hostMounts: HostMount[];
  /** fstab(5) lines of all mounts, with paths of a root at `rootPath`. */
  fstab(rootPath: string): string;
}

/** Writes the template tree and plans the mounts; done once a server. */
export function prepareLayout(
  template: string,
  node: HostNode,
  software: readonly SoftwareMount[],
  optional: readonly SoftwareMount[] = [],
): Layout {
  mkdirSync(template, { recursive: true });
  const mounts = readMounts();
  const hostMounts = [...planHostMounts(node, software), ...optionalMounts(optional)];
  for (const folder of [...FOLDERS, RUN_FOLDER, `${NODE_FOLDER}/bin`])
    mkdirSync(join(template, folder), { recursive: true });
  for (const folder of SHARED_FOLDERS) {
    mkdirSync(join(template, folder), { recursive: true });
    chmodSync(join(template, folder), 0o1777);
  }
  for (const [name, target] of LINKS) symlinkSync(target, join(template, name));
  for (const name of DEVICES) writeFileSync(join(template, "dev", name), "");
  for (const [name, text] of Object.entries(ETC_FILES))
    writeFileSync(join(template, "etc", name), `${text}\n`);
  linkUsr(template);
  for (const { name, target } of node.links) symlinkSync(target, join(template, NODE_FOLDER, "bin", name));
  for (const mount of hostMounts) makeMountPoint(template, mount);
  return { template, hostMounts, fstab: (rootPath) => fstab(rootPath, hostMounts, mounts) };
}

function planHostMounts(node: HostNode, software: readonly SoftwareMount[]): HostMount[] {
  const configuration = HOST_CONFIGURATION.filter((path) => existsSync(path));
  const unmergedUsr = USR_LINKS.map((name) => `/${name}`).filter(
    (path) => existsSync(path) && realpathSync(path) === path,
  );
  return [
    { source: "/usr", target: "/usr" },
    ...unmergedUsr.map((path) => ({ source: path, target: path })),
    ...configuration.map((path) => ({ source: realpathSync(path), target: path })),
    ...node.mounts,
    ...software.map(({ hostPath, path }) => ({ source: realpathSync(hostPath), target: path })),
  ];
}

function optionalMounts(mounts: readonly SoftwareMount[]): HostMount[] {
  return mounts
    .filter(({ hostPath }) => existsSync(hostPath))
    .map(({ hostPath, path }) => ({ source: realpathSync(hostPath), target: path, optional: true }));
}

function linkUsr(template: string): void {
  for (const name of USR_LINKS) {
    const merged = existsSync(`/${name}`) && realpathSync(`/${name}`) === `/usr/${name}`;
    if (merged) symlinkSync(`usr/${name}`, join(template, name));
  }
}

function makeMountPoint(template: string, { source, target }: HostMount): void {
  // Below /usr the host's own tree has the mount point.
  if (isBelow(target, "/usr")) return;
  const path = join(template, target);
  if (statSync(source).isDirectory()) mkdirSync(path, { recursive: true });
  else {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, "");
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

function fstab(rootPath: string, hostMounts: readonly HostMount[], mounts: readonly Mount[]): string {
  const at = (path: string) => escapeFstab(`${rootPath}${path}`);
  const lines: string[] = [];
  for (const { source, target, optional } of hostMounts) {
    const options = `rbind,${optional ? "nofail," : ""}${readOnlyBindOptions(source, mounts)}`;
    lines.push(`${escapeFstab(source)} ${at(target)} none ${options} 0 0`);
    // `ro` reaches the topmost mount only; whatever is mounted below it is laid over itself once more.
    for (const mount of mounts) {
      if (!isBelow(mount.path, source)) continue;
      const below = `${target}${mount.path.slice(source === "/" ? 0 : source.length)}`;
      lines.push(
        `${escapeFstab(mount.path)} ${at(below)} none bind,${readOnlyBindOptions(mount.path, mounts)} 0 0`,
      );
    }
  }
  for (const name of DEVICES) lines.push(`/dev/${name} ${at(`/dev/${name}`)} none bind 0 0`);
  lines.push(`devpts ${at("/dev/pts")} devpts newinstance,ptmxmode=0666,mode=0620,nosuid,noexec 0 0`);
  // That of the boot's own pid namespace: the VM's may only be mounted where a whole one is visible, and lies over it.
  lines.push(`proc ${at("/proc")} proc nosuid,nodev,noexec 0 0`);
  return `${lines.join("\n")}\n`;
}

function escapeFstab(path: string): string {
  return path.replace(/[ \t\n\\#]/g, (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, "0")}`);
}
