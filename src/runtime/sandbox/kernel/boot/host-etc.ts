import {
  chmodSync,
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join, posix } from "node:path";
import { pause } from "../../../../base/pace.ts";
import { SECRET_NAME, SHOWN_ETC } from "./host-etc-table.ts";

/**
 * Sizes of the copied configuration. No distribution has half as much: the largest file is LibreOffice's, of 2 MiB.
 * @past Further files are left out.
 */
const MAX_FILE_BYTES = 8 * 1024 * 1024;
const MAX_FILES = 4000;
const MAX_DEPTH = 8;

const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** Paths of the table as one pattern a name. */
const SHOWN = SHOWN_ETC.flatMap(({ paths }) => paths).map((path) => path.split("/").map(namePattern));

function namePattern(name: string): RegExp {
  return new RegExp(`^${escaped(name).replaceAll("*", ".*")}$`);
}

function escaped(name: string): string {
  return name.replace(/[.+]/g, "\\$&");
}

/**
 * Copies the shown configuration of the host into an empty folder. A copy and not a mount of the folders themselves: so a
 * file is seen only if every user of the host may read it, under its name in the table, as it was when the server
 * looked. A link is kept if it leads to /usr or to /etc, where the VM resolves it among its own files; others are left out.
 *
 * @param etc the host's /etc
 */
export async function copyHostEtc(folder: string, etc = "/etc"): Promise<void> {
  await new EtcCopy(etc).directory("", folder, SHOWN);
}

class EtcCopy {
  readonly #etc: string;
  #left = MAX_FILES;

  constructor(etc: string) {
    this.#etc = etc;
  }

  /** Copies the entries that the patterns name, relative to the directory. An empty pattern names all. */
  async directory(path: string, target: string, patterns: readonly (readonly RegExp[])[]): Promise<void> {
    const depth = path.split("/").length;
    for (const entry of list(join(this.#etc, path))) {
      await pause();
      const { name } = entry;
      const itself = `^${escaped(name)}$`;
      const isNamed = patterns.some(([first]) => first?.source === itself);
      if (!isNamed && SECRET_NAME.test(name)) continue;
      if (depth > MAX_DEPTH || this.#left-- <= 0) continue;
      const below = patterns
        .filter(([first]) => first === undefined || first.test(name))
        .map(([, ...rest]) => rest);
      const isWhole = below.some((rest) => rest.length === 0);
      const from = join(path, name);
      const to = join(target, name);
      if (entry.isDirectory() && below.length > 0) {
        mkdirSync(to);
        chmodSync(to, 0o755);
        await this.directory(from, to, isWhole ? [[]] : below);
        if (readdirSync(to).length === 0) rmdirSync(to);
      } else if (isWhole && entry.isFile()) this.#file(from, to);
      else if (isWhole && entry.isSymbolicLink()) this.#link(from, to);
    }
  }

  #file(path: string, target: string): void {
    const fd = openQuietly(join(this.#etc, path), READ);
    if (fd === undefined) return;
    try {
      const stats = fstatSync(fd);
      const isPublic = stats.isFile() && (stats.mode & 0o004) !== 0;
      if (!isPublic || stats.size > MAX_FILE_BYTES) return;
      writeFileSync(target, readFileSync(fd));
      chmodSync(target, stats.mode & 0o111 ? 0o755 : 0o644);
    } finally {
      closeSync(fd);
    }
  }

  /** The copy has another place than the original, so its links are absolute. */
  #link(path: string, target: string): void {
    const leadsTo = posix.resolve("/etc", posix.dirname(path), readlinkSync(join(this.#etc, path)));
    if (/^\/(etc|usr|bin|sbin|lib|lib64)\//.test(leadsTo)) symlinkSync(leadsTo, target);
  }
}

/** Lists a directory that every user of the host may list and enter. */
function list(path: string) {
  const fd = openQuietly(path, READ | constants.O_DIRECTORY);
  if (fd === undefined) return [];
  try {
    if ((fstatSync(fd).mode & 0o005) !== 0o005) return [];
    return readdirSync(`/proc/self/fd/${fd}`, { withFileTypes: true });
  } finally {
    closeSync(fd);
  }
}

/** @returns `undefined` if the server may not open the file, or it has gone */
function openQuietly(path: string, flags: number): number | undefined {
  try {
    return openSync(path, flags);
  } catch {
    return undefined;
  }
}
