/** Resolves with the next message of a WebSocket. */
export function next(socket: WebSocket): Promise<unknown> {
  return new Promise((resolve) =>
    socket.addEventListener("message", ({ data }) => resolve(data), { once: true }),
  );
}

/** Resolves with the close code and the reason of a WebSocket. */
export function closed(socket: WebSocket): Promise<[number, string]> {
  return new Promise((resolve) =>
    socket.addEventListener("close", ({ code, reason }) => resolve([code, reason]), { once: true }),
  );
}
