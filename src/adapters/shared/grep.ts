import { AgentVmError } from "../../api/errors.ts";
import type { AdapterVm } from "./workplace.ts";

/** A search in the text files below a path. */
export interface GrepRequest {
  pattern: string;
  /** Absolute path. */
  path: string;
  /** `true` takes the pattern as a literal text, not as an extended regular expression. */
  isLiteral?: boolean;
  ignoreCase?: boolean | undefined;
  /** Only files whose name fits this glob. */
  include?: string | undefined;
  /** Most matches. */
  limit: number;
  signal?: AbortSignal | undefined;
}

export interface GrepLine {
  path: string;
  line: number;
  text: string;
}

/**
 * Longest search.
 * @unit ms
 */
const TIMEOUT_MS = 60_000;

/**
 * Searches with grep in the VM. Leaves out `.git`, `node_modules` and files that are not text.
 *
 * @throws AgentVmError `invalid_argument` for a pattern or a path that grep refuses
 */
export async function grep(
  vm: AdapterVm,
  { pattern, path, isLiteral = false, ignoreCase = false, include, limit, signal }: GrepRequest,
): Promise<{ lines: GrepLine[]; isWhole: boolean }> {
  const flags = ["-rnIHZ", isLiteral ? "-F" : "-E", "--exclude-dir=.git", "--exclude-dir=node_modules"];
  if (ignoreCase) flags.push("-i");
  if (include !== undefined) flags.push(`--include=${include}`);
  const args = [...flags, `--max-count=${limit}`, "-e", pattern, "--", path];
  const result = await vm.runArgv("grep", args, { timeout: TIMEOUT_MS, signal });
  const found = result.stdout.split("\n").flatMap((line) => parsed(line) ?? []);
  // grep exits with 1 without a match, and with 2 also if it could read only some files.
  if (found.length === 0 && result.exitCode > 1) {
    throw new AgentVmError("invalid_argument", result.stderr.trim() || "The search took too long");
  }
  const lines = found.slice(0, limit);
  return { lines, isWhole: lines.length === found.length && !result.truncated && !result.timedOut };
}

/** Parses `path NUL line:text`. */
function parsed(output: string): GrepLine | undefined {
  const [, path, line, text = ""] = /^([^\0]+)\0(\d+):(.*)$/s.exec(output) ?? [];
  return path === undefined ? undefined : { path, line: Number(line), text };
}
