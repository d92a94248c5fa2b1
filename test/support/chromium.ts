import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join, normalize } from "node:path";
import { onTestFinished, type TestContext } from "vitest";
import { testFolder } from "./temporary-folder.ts";

const CHROMIUM = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser"].find(
  (path) => path !== undefined && existsSync(path),
);

const ARGUMENTS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-dev-shm-usage",
  "--remote-debugging-port=0",
];

/** Skips the test without chromium. @returns the path of chromium */
export function requireChromium(context: TestContext): string {
  if (CHROMIUM === undefined) context.skip("chromium is not installed (apt-get install chromium)");
  return CHROMIUM as string;
}

/** Opens a URL in chromium until the test ends. Skips the test without chromium. */
export function openInChromium(context: TestContext, url: string): void {
  const browser = spawn(requireChromium(context), [...ARGUMENTS, `--user-data-dir=${testFolder()}`, url], {
    stdio: "ignore",
  });
  onTestFinished(async () => {
    browser.kill("SIGKILL");
    await once(browser, "close");
  });
}

/** Serves a folder on loopback and opens its index.html in chromium. The page reads `fragment` from its address. */
export async function openInBrowser(context: TestContext, folder: string, fragment: string): Promise<void> {
  const types: Readonly<Record<string, string>> = { html: "text/html", js: "text/javascript" };
  const server = createServer(({ url = "/" }, response) => {
    const path = join(folder, url === "/" ? "index.html" : normalize(url));
    if (!existsSync(path)) return void response.writeHead(404).end();
    response.setHeader("content-type", types[path.split(".").at(-1) ?? ""] ?? "application/octet-stream");
    response.end(readFileSync(path));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  openInChromium(context, `http://127.0.0.1:${(server.address() as AddressInfo).port}/#${fragment}`);
}
