// @module-tag slow
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, expect, onTestFinished, type TestContext, test } from "vitest";
import type { VmHandle } from "../../src/client/types.ts";
import { requireChromium } from "../support/chromium.ts";
import { startTestServer, type TestServer } from "../support/servers.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const PACKAGES = [
  ...["vite@8", "next@16", "react@19", "react-dom@19"],
  ...["express@5", "helmet@8", "socket.io@4", "socket.io-client@4"],
];

const folder = temporaryFolder();
let server: TestServer;
let browser: Browser | undefined;
let failure: string | undefined;

beforeAll(async () => {
  const install = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", ...PACKAGES];
  await promisify(execFile)("npm", install, { cwd: folder }).catch((error: Error) => {
    failure = error.message;
  });
  const software = [{ hostPath: join(folder, "node_modules"), path: "/opt/apps/node_modules" }];
  if (failure === undefined) server = await startTestServer({ kind: "kernel", vm: { software } });
});
afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

/** Starts an app in a VM of its own, and opens its preview in Chromium. */
async function openApp(context: TestContext, name: string, files: Record<string, string>, command: string) {
  const executablePath = requireChromium(context);
  if (failure !== undefined) context.skip(`the packages cannot be installed: ${failure}`);
  const vm = server.client().vm.getOrCreate(name);
  await vm.exec("mkdir -p /workspace/app/app && ln -s /opt/apps/node_modules /workspace/app/node_modules");
  for (const [path, text] of Object.entries(files)) await vm.writeFile(`/workspace/app/${path}`, text);
  await vm.exec(`(${command}) > /tmp/log 2>&1 &`, { cwd: "/workspace/app" });
  await vm.waitForPort(3000, { timeoutMs: 120_000 }).catch(async (error: unknown) => {
    throw new Error((await vm.exec("cat /tmp/log")).stdout, { cause: error });
  });
  browser ??= await chromium.launch({
    executablePath,
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
  });
  const page = await browser.newPage();
  onTestFinished(() => page.close());
  const faults: string[] = [];
  page.on("pageerror", ({ message }) => faults.push(message));
  page.on("console", (message) => message.type() === "error" && faults.push(message.text()));
  const { url } = await vm.createSignedPreviewUrl(3000);
  await page.goto(url, { timeout: 120_000 });
  return { vm, page, faults };
}

const shows = (page: Page, selector: string, text: string) =>
  expect.poll(() => page.locator(selector).innerText()).toBe(text);

const write = (vm: VmHandle, path: string, text: string) => vm.writeFile(`/workspace/app/${path}`, text);

test("Vite replaces a changed module in the page of a preview, without a reload", async (context) => {
  const text = (word: string) => `export const text = "${word}";`;
  const { vm, page, faults } = await openApp(
    context,
    "vite",
    {
      "index.html":
        '<!doctype html><link rel="icon" href="data:,"><p id="text"></p><script type="module" src="/main.js"></script>',
      "main.js": `
        import { text } from "/text.js";
        const show = (word) => { document.getElementById("text").textContent = word; };
        show(text);
        import.meta.hot.accept("/text.js", (changed) => show(changed.text));`,
      "text.js": text("first"),
      "vite.config.js": 'export default { cacheDir: "/tmp/vite", server: { port: 3000 } };',
    },
    "node node_modules/vite/bin/vite.js",
  );
  await shows(page, "#text", "first");
  // The dev server may look at the file before its watch begins, so the change is written until the page has it.
  await page.evaluate("window.mark = 'kept'");
  await expect
    .poll(async () => {
      await write(vm, "text.js", text("second"));
      return await page.locator("#text").innerText();
    })
    .toBe("second");
  expect(await page.evaluate("window.mark")).toBe("kept");
  expect(faults).toEqual([]);
});

test("Next's dev server works in a preview: clicks, routes, a server action and changes", async (context) => {
  const counter = (word: string) => `"use client";
    import { useState } from "react";
    export function Counter() {
      const [count, set] = useState(0);
      return <button id="count" onClick={() => set(count + 1)}>${word} {count}</button>;
    }`;
  const { vm, page, faults } = await openApp(
    context,
    "next",
    {
      "package.json": "{}",
      "next.config.mjs": "export default { devIndicators: false };",
      "app/layout.jsx":
        "export default ({ children }) => <html><head><link rel='icon' href='data:,' /></head><body>{children}</body></html>;",
      "app/counter.jsx": counter("clicked"),
      "app/page.jsx": `
        import Link from "next/link";
        import { redirect } from "next/navigation";
        import { Counter } from "./counter";
        async function greet(form) { "use server"; redirect("/about?name=" + form.get("name")); }
        export default () => <main><Counter /><Link id="link" href="/about">about</Link>
          <form action={greet}><input name="name" /><button id="send">send</button></form></main>;`,
      "app/about/page.jsx": `
        export default async ({ searchParams }) => <h1>about {(await searchParams).name ?? "nobody"}</h1>;`,
    },
    "NEXT_TELEMETRY_DISABLED=1 node node_modules/next/dist/bin/next dev --webpack -p 3000",
  );
  await shows(page, "#count", "clicked 0");
  await expect
    .poll(async () => {
      await page.locator("#count").click();
      return await page.locator("#count").innerText();
    })
    .toBe("clicked 1");
  await write(vm, "app/counter.jsx", counter("pressed"));
  await shows(page, "#count", "pressed 1");
  await page.locator("#link").click();
  await shows(page, "h1", "about nobody");
  await page.goBack();
  await page.locator("input").fill("agent");
  await page.locator("#send").click();
  await shows(page, "h1", "about agent");
  expect(faults).toEqual([]);
});

test("Express with helmet and socket.io work in a preview, and take an upload of 100 MB", async (context) => {
  const { page, faults } = await openApp(
    context,
    "express",
    {
      "server.mjs": `
        import express from "express";
        import helmet from "helmet";
        import { createServer } from "node:http";
        import { Server } from "socket.io";
        const app = express();
        app.use(helmet());
        app.get("/", (_, response) => response.send('<!doctype html><link rel="icon" href="data:,"><script src="/socket.io/socket.io.js"></script><script src="/page.js"></script>'));
        app.get("/page.js", (_, response) => response.type("js").send(
          'const socket = io({ transports: ["websocket"] }); socket.on("answer", (text) => { document.title = text; }); socket.emit("ask", "hello");'));
        app.post("/upload", async (request, response) => {
          let size = 0;
          for await (const piece of request) size += piece.length;
          response.json(size);
        });
        const server = createServer(app);
        new Server(server).on("connection", (socket) => socket.on("ask", (text) => socket.emit("answer", text + " over " + socket.conn.transport.name)));
        server.listen(3000);`,
    },
    "node server.mjs",
  );
  await expect.poll(() => page.title()).toBe("hello over websocket");
  const upload =
    'fetch("/upload", { method: "POST", body: new Blob([new Uint8Array(100_000_000)]) }).then((r) => r.json())';
  expect(await page.evaluate(upload)).toBe(100_000_000);
  expect(faults).toEqual([]);
});
