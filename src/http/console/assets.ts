import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { AgentVmError } from "../../api/errors.ts";
import { loadOnce } from "../../base/load-once.ts";
import { bundleConsole, type ConsoleFile } from "./bundle.ts";

/** A file of the console, ready to be sent. */
export interface Asset {
  contentType: string;
  /** Changes with the content. */
  tag: string;
  plain: Uint8Array;
  gzipped: Uint8Array;
}

const TYPES: Readonly<Record<string, string>> = {
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
};

const compress = promisify(gzip);
const loadAssets = loadOnce(load);

/**
 * Returns the files of the console by name. The first call loads them.
 *
 * @throws AgentVmError `not_supported` if this server has no such files: it was bundled, or a clone lacks its development dependencies
 */
export async function consoleAssets(): Promise<ReadonlyMap<string, Asset>> {
  try {
    return await loadAssets();
  } catch (error) {
    throw new AgentVmError("not_supported", "This server has no files of the console", {
      hint: `Install agent-vm as a package, or run npm ci in its clone. (${String(error).split("\n")[0]})`,
    });
  }
}

async function load(): Promise<ReadonlyMap<string, Asset>> {
  const { files } = await bundleConsole();
  return new Map(await Promise.all(files.map(async (file) => [file.name, await assetOf(file)] as const)));
}

async function assetOf({ name, content }: ConsoleFile): Promise<Asset> {
  const extension = name.slice(name.lastIndexOf(".") + 1);
  return {
    contentType: TYPES[extension] ?? "application/octet-stream",
    tag: `"${createHash("sha256").update(content).digest("base64url").slice(0, 22)}"`,
    plain: content,
    gzipped: await compress(content, { level: 9 }),
  };
}
