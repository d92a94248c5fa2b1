import { existsSync, realpathSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import type { Provision } from "../../provision.ts";
import { isBelow } from "./mountinfo.ts";
import type { PlannedTree } from "./plan.ts";

/** A host path that a VM sees read-only. */
export interface HostMount {
  source: string;
  target: string;
  /** Left out of VMs that boot after it has gone. @default false */
  optional?: boolean;
  /** A link to the source, if VMs see it through an overlay. */
  layer?: string;
}

/** With a merged /usr these are links on the host too. Otherwise they are folders of their own. */
const USR_LINKS = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/** Public configuration of the host as it is now: certificates, alternatives, the linker's cache. */
const HOST_CONFIGURATION = [
  "/etc/ssl/certs",
  "/etc/ssl/openssl.cnf",
  "/etc/pki/ca-trust/extracted",
  "/etc/pki/tls/certs",
  "/etc/pki/tls/openssl.cnf",
  "/etc/ca-certificates/extracted",
  "/etc/alternatives",
  "/etc/ld.so.cache",
];

/**
 * The links of a merged /usr as a VM has them: name and target. On Arch, /lib64 leads to /usr/lib, and there and on Fedora
 * /sbin leads to /usr/bin.
 *
 * @param root the host's root
 */
export function usrLinks(root = "/"): [name: string, target: string][] {
  return USR_LINKS.filter((name) => existsSync(join(root, name)))
    .map((name): [string, string] => [name, relative(root, realpathSync(join(root, name)))])
    .filter(([, target]) => target.startsWith("usr/"));
}

/** The mounts of every VM: the host's programs and their configuration. */
export function systemMounts(): HostMount[] {
  const configuration = HOST_CONFIGURATION.filter((path) => existsSync(path));
  const unmergedUsr = USR_LINKS.map((name) => `/${name}`).filter(
    (path) => existsSync(path) && realpathSync(path) === path,
  );
  return [
    { source: "/usr", target: "/usr" },
    ...unmergedUsr.map((path) => ({ source: path, target: path })),
    ...configuration.map((path) => ({ source: realpathSync(path), target: path })),
  ];
}

export function mountsOf({ mounts = [] }: Provision): HostMount[] {
  return mounts
    .filter(({ hostPath, optional }) => optional !== true || existsSync(hostPath))
    .map(({ hostPath, path, optional }) => ({
      source: realpathSync(hostPath),
      target: path,
      ...(optional && { optional }),
    }));
}

export function makeMountPoint(tree: PlannedTree, { source, target }: HostMount): void {
  // Below /usr the host's own tree has the mount point.
  if (isBelow(target, "/usr")) return;
  if (statSync(source).isDirectory()) tree.directory(target);
  else tree.file(target);
}
