/** Time after which a download no longer needs its address. In milliseconds. */
const KEPT_MS = 60_000;

/** Gives a file to the browser's downloads. Its type makes no browser open it. */
export function save(name: string, content: Uint8Array | Blob): void {
  const blob = new Blob([content as BlobPart], { type: "application/octet-stream" });
  const address = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), KEPT_MS);
}
