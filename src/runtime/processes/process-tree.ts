import type { VmProcess, VmProcessNode } from "../../api/types.ts";

/** The same processes as a forest. Whose parent is not among them is a root. */
export function processTree(processes: readonly VmProcess[]): VmProcessNode[] {
  const nodes = new Map(
    processes.map((process) => [process.pid, { ...process, children: [] as VmProcessNode[] }]),
  );
  const roots: VmProcessNode[] = [];
  for (const node of nodes.values()) {
    const parent = nodes.get(node.ppid);
    if (parent === undefined) roots.push(node);
    else parent.children.push(node);
  }
  return roots;
}
