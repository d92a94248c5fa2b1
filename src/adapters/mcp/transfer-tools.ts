import { Buffer } from "node:buffer";
import { z } from "zod";
import { type AgentVmError, limitExceeded } from "../../api/errors.ts";
import { textOrBytes } from "../../base/bytes.ts";
import { statOrNull } from "../shared/file-kind.ts";
import type { AdapterVm } from "../shared/workplace.ts";
import { defineTool } from "../toolbox/tool.ts";

/**
 * File that a resource carries.
 * @unit bytes
 */
const MAX_RESOURCE_BYTES = 8 * 1024 * 1024;

const path = z.string().min(1).describe("Path, absolute or relative to the base directory");

/** Tools that move whole files of any content. */
export const TRANSFER_TOOLS = {
  upload_file: defineTool({
    title: "Upload a file",
    description:
      "Writes a file of any content, given as base64, and makes missing parent directories. At most 8 MiB.",
    input: z.strictObject({ path, base64: z.base64().describe("Content of the file, encoded with base64") }),
    effect: "write",
    idempotent: true,
    needs: [{ right: "files" }],
    async run({ path: given, base64 }, { vm, place, signal }) {
      const content = Buffer.from(base64, "base64");
      if (content.byteLength > MAX_RESOURCE_BYTES) throw tooLarge(content.byteLength);
      const full = place.resolve(given);
      await vm.writeFile(full, content, { signal });
      return { path: full, text: `Wrote ${content.byteLength} bytes to ${full}` };
    },
  }),
  download_file: defineTool({
    title: "Download a file",
    description: "Returns a file of any content as a resource. At most 8 MiB.",
    input: z.strictObject({ path }),
    effect: "read",
    needs: [{ right: "files", reads: true }],
    async run({ path: given }, { place }) {
      const full = place.resolve(given);
      return { path: full, download: true, text: full };
    },
  }),
};

/** Reads a file for a resource. @throws AgentVmError `ENOENT`; `EISDIR`; `limit_exceeded` */
export async function readResource(
  vm: AdapterVm,
  path: string,
): Promise<{ text: string } | { blob: string }> {
  const stat = await statOrNull(vm, path);
  if (stat !== null && stat.size > MAX_RESOURCE_BYTES) throw tooLarge(stat.size);
  const content = textOrBytes(await vm.readFile(path));
  if (typeof content === "string") return { text: content };
  return { blob: Buffer.from(content).toString("base64") };
}

function tooLarge(bytes: number): AgentVmError {
  return limitExceeded({ MAX_RESOURCE_BYTES }, `The file has ${bytes} bytes`, "Copy it in parts.");
}
