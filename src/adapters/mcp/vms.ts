import { z } from "zod";
import type { VmAccessor, VmHandle } from "../../client/index.ts";
import { defineTool } from "../toolbox/tool.ts";

/** Key of a VM as a client of MCP names it: one part, or its parts. */
export const vmKey = z
  .union([z.string().min(1), z.array(z.string()).min(1).max(32)])
  .describe("Key of the VM: a string, or an array of the key's parts");

export type VmKey = z.infer<typeof vmKey>;

/** The VMs that a server of MCP reaches: one, or all that a token reaches. */
export type Vms = { one: VmHandle } | { many: VmAccessor };

/** Tools of a server for many VMs. */
export function fleetTools(vms: VmAccessor) {
  return {
    list_vms: defineTool({
      title: "List VMs",
      description: "Lists VMs: their keys, states and labels, by key. Wakes none.",
      input: z.strictObject({
        prefix: vmKey.optional().describe("First parts of the keys"),
        cursor: z.string().optional().describe("`cursor` of the earlier answer"),
      }),
      effect: "read",
      needs: [{ right: "read" }],
      async run(options) {
        const { vms: found, cursor } = await vms.list(options);
        const lines = found.map(({ key, state, labels }) => JSON.stringify({ key, state, labels }));
        if (cursor !== null) lines.push(`[more VMs: cursor ${cursor}]`);
        return { text: lines.join("\n") || "(no VMs)" };
      },
    }),
    create_vm: defineTool({
      title: "Create a VM",
      description: "Creates a Linux VM with this key. A VM that exists is left as it is.",
      input: z.strictObject({ vm: vmKey }),
      effect: "execute",
      idempotent: true,
      needs: [{ right: "create" }],
      async run({ vm }) {
        const { state } = await vms.getOrCreate(vm).status();
        return { text: `${JSON.stringify(vm)}: ${state}` };
      },
    }),
  };
}

/**
 * URI of a file: `vm:///path` of a server for one VM, `vm://KEY/path` of a server for many. The parts of a key are encoded and
 * joined with `+`.
 */
export function uriOf(path: string, key?: VmKey): string {
  const parts = key === undefined ? [] : [key].flat();
  const encoded = path.split("/").map(encodeURIComponent).join("/");
  return `vm://${parts.map(encodeURIComponent).join("+")}${encoded}`;
}

/** Splits a URI of a file. @returns `undefined` if it is no such URI */
export function parseUri(uri: string): { key: string[]; path: string } | undefined {
  const [, key = "", path = ""] = /^vm:\/\/([^/?#]*)(\/[^?#]*)$/.exec(uri) ?? [];
  if (path === "") return undefined;
  try {
    return {
      key: key === "" ? [] : key.split("+").map(decodeURIComponent),
      path: path.split("/").map(decodeURIComponent).join("/"),
    };
  } catch {
    // Not URL-encoded.
    return undefined;
  }
}
