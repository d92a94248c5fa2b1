import { z } from "zod";
import { pause } from "../../base/pace.ts";
import { MODE_BITS } from "../sandbox/persistent-tree.ts";
import { type ArchiveEntry, entryName } from "./entry.ts";

const entrySchema = z
  .object({
    /** Absolute path. */
    path: z
      .string()
      .regex(/^\//, "must be an absolute path")
      .refine((path) => !path.split("/").includes(".."), "must be normalized"),
    /** Kind of the entry. */
    type: z.enum(["file", "directory", "symlink"]),
    /** Permission bits in octal, optionally with the bits of the file type in front. */
    mode: z.string().regex(/^[0-7]{1,7}$/, "must be octal, such as 0755"),
    /** User id of the owner in the export. Not kept: files of a new VM belong to its own user. */
    uid: z.int().optional(),
    /** Group id of the owner in the export. Not kept: files of a new VM belong to its own group. */
    gid: z.int().optional(),
    /** Content of a file, encoded as `encoding` says. @default "" */
    content: z.string().default(""),
    /** Encoding of `content`. @default "utf8" */
    encoding: z.enum(["utf8", "base64"]).default("utf8"),
    /** Target of a symbolic link, as written. */
    target: z.string().default(""),
  })
  .refine(({ type, target }) => type !== "symlink" || target !== "", {
    path: ["target"],
    error: "must be the path that the link leads to",
  });

/** Snapshot from `snapshotRootFilesystem`. Accepts both names of agentOS's format. */
export const rootSnapshotSchema = z.object({
  /** Kind of the value. */
  kind: z.literal("snapshot-export"),
  /** The exported files. */
  source: z.object({
    /** Name of the format. */
    format: z.enum(["agent-os-filesystem-snapshot-v1", "agentos-filesystem-snapshot-v1"]),
    /** The file system. */
    filesystem: z.object({
      /** Entries, parents before children. */
      entries: z.array(entrySchema),
    }),
  }),
});

export type RootSnapshot = z.output<typeof rootSnapshotSchema>;

/** Yields a snapshot's entries. A snapshot has no times, so its files get the current time. */
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
