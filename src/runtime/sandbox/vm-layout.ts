/** The only user of a VM. */
export const VM_USER = "agentos";
export const VM_UID = 1000;
export const VM_HOME = "/home/agentos";
export const VM_HOSTNAME = "agentos";

/** Folder of the server's Node, which is first in the VM's PATH. */
export const NODE_FOLDER = "/opt/agentos";
export const VM_NODE = `${NODE_FOLDER}/bin/node`;

/** Folder of the server's own files in a VM: init, Node, job files and authorities. */
export const RUN_FOLDER = "/run/agentos";

/** Folder of the host's configuration, read-only. `/etc` has links to it, which are made at each boot. */
export const HOST_FOLDER = "/run/agentos/host";

/** The programs of `HOST_FOLDER` stand before the host's, which they replace. */
export const VM_PATH = `${NODE_FOLDER}/bin:${HOST_FOLDER}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`;

/** `true` for a link of the base tree to the host's configuration. */
export function isHostLink(path: string, target: string): boolean {
  return target === HOST_FOLDER + path;
}
