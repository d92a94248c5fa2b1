import { spawn } from "node:child_process";
import process from "node:process";

const OPENERS: Partial<Record<NodeJS.Platform, readonly string[]>> = {
  darwin: ["open"],
  win32: ["rundll32", "url.dll,FileProtocolHandler"],
};

/** Opens a URL in the browser of this machine, without waiting for it. No shell reads the URL. */
export async function openUrl(url: string): Promise<void> {
  if (!/^https?:\/\//.test(url)) throw new Error("The server has answered with something that is not a URL");
  const own = process.env.BROWSER;
  const [program = "xdg-open", ...args] = own ? [own] : (OPENERS[process.platform] ?? ["xdg-open"]);
  const child = spawn(program, [...args, new URL(url).href], { stdio: "ignore", detached: true });
  await new Promise<void>((resolve, reject) => {
    child.once("spawn", resolve);
    child.once("error", () => reject(new Error(`Cannot start the browser: ${program}`)));
  });
  child.unref();
}
