import { z } from "zod";
import { pause } from "../sandbox/pace.ts";
import { type ArchiveEntry, entryName } from "./entry.ts";

const MODE_BITS = 0o7777;

const entrySchema = z
  .object({
    path: z
      .string()
      .regex(/^\//, "must be an absolute path")
      .refine((path) => !path.split("/").includes(".."), "must be normalized"),
    type: z.enum(["file", "directory", "symlink"]),
    /** Permission bits; those of the file's type may stand before them. */
    mode: z.string().regex(/^[0-7]{1,7}$/, "must be octal, such as 0755"),
    uid: z.int().optional(),
    gid: z.int().optional(),
    content: z.string().default(""),
    encoding: z.enum(["utf8", "base64"]).default("utf8"),
    target: z.string().default(""),
  })
  .refine(({ type, target }) => type !== "symlink" || target !== "", {
    path: ["target"],
    error: "must be what the link leads to",
  });

/** A snapshot as snapshotRootFilesystem gives it, under agentOS's name of its format or the later one. */
export const rootSnapshotSchema = z.object({
  kind: z.literal("snapshot-export"),
  source: z.object({
    format: z.enum(["agent-os-filesystem-snapshot-v1", "agentos-filesystem-snapshot-v1"]),
    filesystem: z.object({ entries: z.array(entrySchema) }),
  }),
});

export type RootSnapshot = z.output<typeof rootSnapshotSchema>;

/** A snapshot has no times: its files are as new as the VM. */
export async function* snapshotEntries(snapshot: RootSnapshot): AsyncGenerator<ArchiveEntry> {
  const mtimeMs = Date.now();
  for (const entry of snapshot.source.filesystem.entries) {
    await pause();
    const { path, type } = entry;
    const node = {
      name: entryName(path.slice(1)),
      mode: Number.parseInt(entry.mode, 8) & MODE_BITS,
      mtimeMs,
    };
    if (type === "directory") yield { ...node, type };
    else if (type === "symlink") yield { ...node, type, target: entry.target };
    else yield { ...node, type, content: [Buffer.from(entry.content, entry.encoding)] };
  }
}
