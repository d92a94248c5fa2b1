import { readdir, readFile, stat } from "node:fs/promises";
import { basename, join, posix } from "node:path";
import { AgentVmError, invalidArgument, limitExceeded } from "../../api/errors.ts";
import type { Workplace } from "../shared/workplace.ts";
import type { ManifestEntry, ManifestLike } from "./sandbox-types.ts";

/** Files of a folder of this machine that a manifest may copy. */
const MAX_LOCAL_FILES = 10_000;

/** Bytes that one call writes. */
const BATCH_BYTES = 4 * 1024 * 1024;

/** Paths of one command. */
const CHMOD_PATHS = 500;

/** Milliseconds that a clone may take. */
const CLONE_TIMEOUT_MS = 600_000;

/** The fields of all kinds of entries. */
interface AnyEntry extends ManifestEntry {
  content?: string | Uint8Array;
  children?: Record<string, AnyEntry>;
  src?: string;
  repo?: string;
  host?: string;
  ref?: string;
  subpath?: string;
}

/** Puts the entries of a manifest into the workspace. */
export async function applyManifest(place: Workplace, manifest: ManifestLike): Promise<void> {
  if (manifest.users.length > 0 || manifest.groups.length > 0)
    throw invalidArgument("manifest.users", "no users and groups: a VM has one user", manifest.users);
  await place.directory();
  for (const [path, entry] of Object.entries(manifest.entries)) await putEntry(place, path, entry);
}

/** Puts one entry into the workspace. @throws AgentVmError `not_supported` for mounts */
export async function putEntry(place: Workplace, path: string, given: ManifestEntry): Promise<void> {
  const entry = given as AnyEntry;
  const target = place.resolve(path);
  const { vm } = place;
  switch (entry.type) {
    case "dir":
      await vm.mkdir(target, { recursive: true });
      for (const [name, child] of Object.entries(entry.children ?? {}))
        await putEntry(place, posix.join(path, name), child);
      break;
    case "file":
      await vm.writeFile(target, entry.content ?? "");
      break;
    case "local_file":
      await vm.writeFile(target, await readFile(entry.src ?? ""));
      break;
    case "local_dir":
      await copyFolder(place, entry.src ?? "", target);
      break;
    case "git_repo":
      await clone(place, entry, target);
      break;
    default:
      throw new AgentVmError("not_supported", `Entries of the type ${entry.type} do not work in a VM`, {
        capability: "mounts",
        hint: "Mount storage with the option `mounts` of vmActor().",
      });
  }
  const mode = modeOf(entry.permissions);
  if (mode !== undefined) await vm.execArgv("chmod", [mode.toString(8), target]);
}

/** Copies a folder of this machine. Follows no links. */
async function copyFolder({ vm }: Workplace, source: string, target: string): Promise<void> {
  await vm.mkdir(target, { recursive: true });
  const programs: string[] = [];
  let batch: { path: string; content: Uint8Array }[] = [];
  let bytes = 0;
  const flush = async () => {
    for (const { path, error } of await vm.writeFiles(batch))
      if (error !== undefined) throw new Error(`${path} could not be written: ${error}`);
    batch = [];
    bytes = 0;
  };
  const entries = await readdir(source, { recursive: true, withFileTypes: true });
  if (entries.length > MAX_LOCAL_FILES)
    throw limitExceeded(
      { MAX_LOCAL_FILES },
      `${basename(source)} has ${entries.length} files and directories`,
      "Copy fewer files.",
    );
  for (const entry of entries) {
    const from = join(entry.parentPath, entry.name);
    const path = posix.join(target, from.slice(join(source, "/").length));
    if (entry.isDirectory()) await vm.mkdir(path, { recursive: true });
    if (!entry.isFile()) continue;
    const { size, mode } = await stat(from);
    if (size > BATCH_BYTES) await vm.writeFile(path, await readFile(from));
    else {
      batch.push({ path, content: await readFile(from) });
      bytes += size;
      if (bytes > BATCH_BYTES) await flush();
    }
    if ((mode & 0o111) !== 0) programs.push(path);
  }
  await flush();
  for (let at = 0; at < programs.length; at += CHMOD_PATHS)
    await vm.execArgv("chmod", ["+x", ...programs.slice(at, at + CHMOD_PATHS)]);
}

/** Clones a repository inside the VM, if its network policy allows it. */
async function clone(
  { vm }: Workplace,
  { repo = "", host = "github.com", ref, subpath }: AnyEntry,
  target: string,
) {
  const url = repo.includes("://") || repo.startsWith("/") ? repo : `https://${host}/${repo}.git`;
  const line = [
    "set -e",
    "into=$(mktemp -d); trap 'rm -rf \"$into\"' EXIT",
    'git clone --quiet "$1" "$into/repository"',
    'cd "$into/repository"',
    '[ -z "$2" ] || git checkout --quiet "$2"',
    'mkdir -p "$4"; cp -a "./$3/." "$4"',
  ].join("\n");
  const args = ["-c", line, "bash", url, ref ?? "", subpath ?? "", target];
  const { exitCode, stderr } = await vm.execArgv("bash", args, { timeout: CLONE_TIMEOUT_MS });
  if (exitCode !== 0) throw new Error(`${url} could not be cloned: ${stderr.trim()}`);
}

/** Mode of permissions as a number, as `{ owner, group, other }` or as an object of the SDK. */
function modeOf(permissions: unknown): number | undefined {
  if (typeof permissions === "number") return permissions;
  if (typeof permissions !== "object" || permissions === null) return undefined;
  const { owner, group = 0, other = 0 } = permissions as { owner?: number; group?: number; other?: number };
  return owner === undefined ? undefined : (owner << 6) | (group << 3) | other;
}
