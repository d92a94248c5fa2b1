// Shows web apps that a model writes, each at a preview URL: `npm run example examples/generated-apps/main.ts`.
import { createClient } from "agent-vm/client";
import type { registry } from "agent-vm/server";

const client = createClient<typeof registry>({ endpoint: process.env.ENDPOINT ?? "http://localhost:6420" });

/** Files of an app by path. */
type App = Record<string, string>;

/** The model. A real one gets the wish and the files so far. */
function generate(wish: string, app: App): App {
  const page = `<!doctype html><title>App</title><h1>${wish}</h1><script src="/app.js"></script>`;
  return { ...app, "public/index.html": page, "public/app.js": `document.title = ${JSON.stringify(wish)};` };
}

/** Server of the app. It reads each file when it is asked for, so that a change shows with the next request. */
const SERVER = `
const { createServer } = require("node:http");
const { readFile } = require("node:fs");
const { join, normalize, extname } = require("node:path");
const types = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css" };
createServer((request, response) => {
  const path = normalize(new URL(request.url, "http://app").pathname).replace(/\\/$/, "/index.html");
  readFile(join(__dirname, "public", path), (error, content) => {
    response.writeHead(error ? 404 : 200, { "content-type": types[extname(path)] ?? "text/plain" });
    response.end(error ? "Not found" : content);
  });
}).listen(3000, "127.0.0.1");
`;

class Project {
  readonly #vm;
  #app: App = { "server.js": SERVER };

  constructor(name: string) {
    this.#vm = client.vm.getOrCreate(["app", name]);
  }

  /** Changes the app as the user wishes. @returns an id for undo */
  async change(wish: string): Promise<string> {
    const { id } = await this.#vm.createSnapshot();
    this.#app = generate(wish, this.#app);
    const files = Object.entries(this.#app).map(([path, content]) => ({
      path: `/workspace/${path}`,
      content,
    }));
    await this.#vm.writeFiles(files);
    return id;
  }

  /** Runs the app and returns its preview URL, which works for ten minutes. */
  async show(): Promise<string> {
    const service = { name: "app", command: "node", args: ["/workspace/server.js"], port: 3000 };
    if (!(await this.#vm.listServices()).some(({ name }) => name === "app"))
      await this.#vm.startService(service);
    return (await this.#vm.createSignedPreviewUrl(3000, 600)).url;
  }

  async undo(snapshotId: string): Promise<void> {
    const changed = (await this.#vm.diff(snapshotId)).map(({ path }) => path);
    await this.#vm.undo(changed, snapshotId);
  }

  async remove(): Promise<void> {
    await this.#vm.destroy();
  }
}

const project = new Project(crypto.randomUUID());
await project.change("A list of birds");
const url = await project.show();
const page = async () => /<h1>(.*)<\/h1>/.exec(await (await fetch(url)).text())?.[1];
console.log(await page());
const before = await project.change("A list of fish");
console.log(await page());
await project.undo(before);
console.log(await page());
console.log(await (await fetch(`${url}app.js`)).text());

await project.remove();
await client.dispose();
