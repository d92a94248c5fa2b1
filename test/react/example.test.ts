// @module-tag slow

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { build } from "vite";
import { expect, onTestFinished, test } from "vitest";
import { requireChromium } from "../support/chromium.ts";
import { open as openSession } from "../support/scripted.ts";
import { startTestServer } from "../support/servers.ts";
import { testFolder } from "../support/temporary-folder.ts";

const EXAMPLE = join(import.meta.dirname, "../../examples/react");
const TYPES: Readonly<Record<string, string>> = { html: "text/html", js: "text/javascript", css: "text/css" };

/** Serves a folder on loopback until the test ends. @returns its address */
async function serve(folder: string): Promise<string> {
  const server = createServer(({ url = "/" }, response) => {
    const path = new URL(url, "http://localhost").pathname;
    const file = path === "/" ? "/index.html" : path;
    try {
      const content = readFileSync(join(folder, file));
      response.setHeader("content-type", TYPES[file.split(".").at(-1) ?? ""] ?? "text/plain");
      response.end(content);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as { port: number }).port}`;
}

test("the example with React builds, and shows ports, a terminal and a session of a machine", async (context) => {
  const executablePath = requireChromium(context);
  const outDir = testFolder();
  await build({
    root: EXAMPLE,
    configFile: false,
    logLevel: "silent",
    base: "./",
    resolve: { conditions: ["agent-vm-source", "browser", "module", "import", "default"] },
    build: { outDir, emptyOutDir: true },
  });
  const server = await startTestServer({ kind: "scripted", process: true });
  const vm = server.client().vm.getOrCreate("react");
  const session = await openSession(vm);
  const site = await serve(outDir);
  const browser = await chromium.launch({
    executablePath,
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
  });
  onTestFinished(() => browser.close());
  const page = await browser.newPage();
  const errors: string[] = [];
  page.on("pageerror", ({ message }) => errors.push(message));
  const query = new URLSearchParams({ server: server.endpoint, vm: "react", session });
  await page.goto(`${site}/?${query}`);

  await page.getByText("exited with 0").waitFor();
  expect(await page.getByText("uname:").innerText()).toContain("Linux");
  await page.getByText("ports: none").waitFor();
  await vm.spawn("node", ["-e", "require('http').createServer().listen(4321)"]);
  await page.getByText("ports: 4321").waitFor();

  await page.getByText("idle, ").waitFor();
  await page.getByRole("button", { name: "Say hello" }).click();
  await page.getByText("idle, 2 events").waitFor();

  const rows = page.locator("agent-vm-terminal .xterm-rows");
  await expect.poll(() => rows.innerText()).toContain("$");
  await page.locator("agent-vm-terminal .xterm").click();
  await page.keyboard.type("echo element-$((40+2))\n");
  await expect.poll(() => rows.innerText()).toContain("element-42");
  const shells = async () => (await vm.listShells()).filter(({ running }) => running).length;
  expect(await shells()).toBe(1);
  // An element that is moved in its page, or gets its attributes back, keeps its shell.
  await page.locator("agent-vm-terminal").evaluate((element) => {
    const moved = element as unknown as Record<
      "setAttribute" | "removeAttribute",
      (...words: string[]) => void
    >;
    moved.setAttribute("cwd", "/tmp");
    moved.removeAttribute("cwd");
    const { parentElement } = element as unknown as { parentElement: { append(child: unknown): void } };
    parentElement.append(element);
  });
  await page.locator("agent-vm-terminal .xterm").click();
  await page.keyboard.type("echo element-$((40+3))\n");
  await expect.poll(() => rows.innerText()).toMatch(/element-42[\s\S]*element-43/);
  // An element that leaves its page ends its shell.
  await page.locator("agent-vm-terminal").evaluate((element) => (element as { remove(): void }).remove());
  await expect.poll(shells).toBe(0);
  expect(errors).toEqual([]);
});
