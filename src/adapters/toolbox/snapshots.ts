import { z } from "zod";
import { AgentVmError } from "../../api/errors.ts";
import { shortened } from "../shared/text.ts";
import type { AdapterVm } from "../shared/workplace.ts";
import { defineTool } from "./tool.ts";

const snapshot = z.string().min(1).describe("Id of a snapshot");
const snapshots = { right: "snapshots" } as const;

/** Returns the id of the snapshot to compare with. @throws AgentVmError `snapshot_not_found` if the VM has no snapshot */
async function chosen(vm: AdapterVm, given: string | undefined): Promise<string> {
  const id = given ?? (await vm.listSnapshots()).at(-1)?.id;
  if (id !== undefined) return id;
  throw new AgentVmError("snapshot_not_found", "The VM has no snapshot", {
    hint: "Call create_snapshot first.",
  });
}

/** Tools for snapshots and undo. */
export const SNAPSHOT_TOOLS = {
  create_snapshot: defineTool({
    title: "Take a snapshot",
    description: "Keeps the files of the VM as they are now, for undo and restore_snapshot.",
    input: z.strictObject({ name: z.string().max(200).optional().describe("Name for people") }),
    effect: "write",
    needs: [snapshots],
    async run({ name }, { vm }) {
      const made = await vm.createSnapshot(name);
      return { snapshot: made, text: `Snapshot ${made.id}: ${made.files} files, ${made.bytes} bytes` };
    },
  }),
  list_snapshots: defineTool({
    title: "List snapshots",
    description: "Lists the snapshots of the VM, oldest first.",
    input: z.strictObject({}),
    effect: "read",
    needs: [{ right: "snapshots", reads: true }],
    async run(_input, { vm, outputLimit }) {
      const kept = await vm.listSnapshots();
      const lines = kept.map(({ id, name, createdAt }) =>
        [id, name ?? "", new Date(createdAt).toISOString()].join("\t"),
      );
      return { snapshots: kept, text: shortened(lines.join("\n") || "(no snapshots)", outputLimit) };
    },
  }),
  diff: defineTool({
    title: "List changes",
    description: "Lists the paths that changed since a snapshot: added, modified, deleted or mode.",
    input: z.strictObject({
      snapshot: snapshot.optional().describe("Id of a snapshot. Default: the newest"),
    }),
    effect: "read",
    needs: [snapshots],
    async run({ snapshot: id }, { vm, outputLimit }) {
      const changes = await vm.diff(await chosen(vm, id));
      const lines = changes.map(({ change, path }) => `${change}\t${path}`);
      return { total: changes.length, text: shortened(lines.join("\n") || "(no changes)", outputLimit) };
    },
  }),
  undo: defineTool({
    title: "Undo changes",
    description: "Puts files back as they were in a snapshot, each path with everything below it.",
    input: z.strictObject({
      paths: z
        .array(z.string().min(1))
        .min(1)
        .max(1_000)
        .describe("Paths, absolute or relative to the base directory"),
      snapshot: snapshot.optional().describe("Id of a snapshot. Default: the newest"),
    }),
    effect: "write",
    idempotent: true,
    needs: [snapshots],
    async run({ paths, snapshot: id }, { vm, place, outputLimit }) {
      const results = await vm.undo(
        paths.map((path) => place.resolve(path)),
        await chosen(vm, id),
      );
      const lines = results.map(({ path, restored, error }) => `${path}\t${error ?? `${restored} restored`}`);
      return { results, text: shortened(lines.join("\n"), outputLimit) };
    },
  }),
  restore_snapshot: defineTool({
    title: "Restore a snapshot",
    description: "Replaces all files of the VM with those of a snapshot. Ends every process of the VM.",
    input: z.strictObject({ snapshot }),
    effect: "execute",
    idempotent: true,
    needs: [snapshots],
    async run({ snapshot: id }, { vm }) {
      await vm.restoreSnapshot(id);
      return { text: `Restored ${id}` };
    },
  }),
};
