import type { AdapterVm } from "./workplace.ts";

/** Longest life of a preview URL. @unit s */
const MAX_PREVIEW_SECONDS = 86_400;

/**
 * Makes a preview URL for a program. Names below `localhost`, which not every program can look up, become a path of the server.
 *
 * @param protocol kind of the URL; it keeps the server's TLS
 */
export async function portUrl(
  vm: AdapterVm,
  port: number,
  protocol: "http" | "https" | "ws" | "wss" = "http",
): Promise<URL> {
  const preview = await vm.createSignedPreviewUrl(port, MAX_PREVIEW_SECONDS);
  const byName = new URL(preview.url);
  const url = byName.hostname.endsWith(".localhost") ? new URL(preview.pathUrl) : byName;
  const isSecure = url.protocol === "https:";
  const scheme = protocol.startsWith("ws") ? "ws" : "http";
  url.protocol = `${scheme}${isSecure ? "s" : ""}:`;
  return url;
}
