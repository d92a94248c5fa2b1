import { posix } from "node:path";
import type { Server } from "@modelcontextprotocol/sdk/server/index.js";
import { errorText, orNull } from "../shared/errors.ts";
import type { Sdk } from "./sdk.ts";
import type { Serving } from "./server.ts";
import { readResource } from "./transfer-tools.ts";
import { parseUri, uriOf } from "./vms.ts";

/** Files that `resources/list` names. `list_dir` lists any directory. */
const MAX_RESOURCES = 200;

const FILES_NEED = [{ right: "files", reads: true }] as const;

/** Answers `resources/list`, `resources/templates/list` and `resources/read`: files of the VMs. */
export function serveResources(
  server: Server,
  types: Sdk["types"],
  { vms, workingDirectory, shows, running }: Serving,
): void {
  server.setRequestHandler(types.ListResourcesRequestSchema, async () => {
    if (!("one" in vms) || !shows(FILES_NEED)) return { resources: [] };
    const listed = running.run(() => vms.one.readdirRecursive(workingDirectory, { maxDepth: 0 }));
    const entries = (await orNull(listed)) ?? [];
    const files = entries.filter(({ type }) => type === "file").slice(0, MAX_RESOURCES);
    return {
      resources: files.map(({ path, size }) => ({ uri: uriOf(path), name: posix.basename(path), size })),
    };
  });
  server.setRequestHandler(types.ListResourceTemplatesRequestSchema, () => ({
    resourceTemplates: [
      {
        name: "file",
        title: "File of the VM",
        uriTemplate: "one" in vms ? "vm:///{+path}" : "vm://{key}/{+path}",
        description:
          "A file by its absolute path, at most 8 MiB. Text comes as text, other content as base64.",
      },
    ],
  }));
  server.setRequestHandler(types.ReadResourceRequestSchema, async ({ params: { uri } }) => {
    const place = parseUri(uri);
    const hasVm = "one" in vms ? place?.key.length === 0 : (place?.key.length ?? 0) > 0;
    if (place === undefined || !hasVm) {
      throw new types.McpError(types.ErrorCode.InvalidParams, `Unknown resource: ${uri.slice(0, 200)}`, {
        uri,
      });
    }
    const vm = "one" in vms ? vms.one : vms.many.get(place.key);
    try {
      const content = await running.run(() => readResource(vm, place.path));
      return { contents: [{ uri, ...content }] };
    } catch (error) {
      const { ErrorCode, McpError } = types;
      throw new McpError(ErrorCode.InvalidParams, errorText(error), { uri });
    }
  });
}
