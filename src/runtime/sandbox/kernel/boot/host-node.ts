import { existsSync, realpathSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Provision } from "../../provision.ts";
import { NODE_FOLDER, VM_NODE } from "../../vm-layout.ts";
import { findTool } from "../tools.ts";

/** The server's own Node for VMs. */
interface HostNode {
  provision: Provision;
  /** `false` if the host has no npm to share. */
  hasNpm: boolean;
}

/** Programs of Node's own archive, by the package that has them: the file of each. */
const PACKAGES = {
  npm: { npm: "bin/npm-cli.js", npx: "bin/npx-cli.js" },
  // `corepack enable` makes its links beside the corepack that PATH finds: here and not in /usr.
  corepack: { corepack: "dist/corepack.js" },
};

/** The server's Node, and the packages that belong to it or else the host's. */
export function findHostNode(): HostNode {
  const node = realpathSync(process.execPath);
  const provision = {
    label: "the server's Node",
    plain: true,
    mounts: [{ hostPath: node, path: VM_NODE }],
    links: [] as { path: string; target: string }[],
  };
  let hasNpm = false;
  for (const [name, programs] of Object.entries(PACKAGES)) {
    const hostPath = findPackage(node, name, Object.values(programs)[0] as string);
    if (hostPath === undefined) continue;
    if (name === "npm") hasNpm = true;
    // Laid out as Node's own archive, so that `npm install --global` inside lands in the VM's PATH.
    const path = `${NODE_FOLDER}/lib/node_modules/${name}`;
    provision.mounts.push({ hostPath, path });
    for (const [program, file] of Object.entries(programs))
      provision.links.push({ path: `${NODE_FOLDER}/bin/${program}`, target: `${path}/${file}` });
  }
  if (hasNpm) provision.label += " with npm";
  return { provision, hasNpm };
}

/** Folder of a package with a program. */
function findPackage(node: string, name: string, program: string): string | undefined {
  const inPath = findTool(name);
  const candidates = [
    // Set by npm itself for the scripts it runs, `npm start` among them.
    process.env.npm_execpath,
    join(dirname(node), "..", "lib", "node_modules", name, program),
    inPath === undefined ? undefined : realpathSync(inPath),
  ];
  for (const candidate of candidates) {
    if (candidate === undefined || basename(candidate) !== basename(program) || !existsSync(candidate))
      continue;
    return realpathSync(join(dirname(candidate), ".."));
  }
  return undefined;
}
