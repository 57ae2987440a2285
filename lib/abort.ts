// Listening to AbortSignals. Callers share one signal among many calls (a server that shuts down, say), and Node warns of a leak where one
// has more than ten listeners: so each signal gets one, while anybody listens.

interface Listening {
  listeners: Set<() => void>
  heard: () => void
}

const signals = new WeakMap<AbortSignal, Listening>()

/** Has `listener` called when the signal aborts; what is returned ends that. */
export function onAbort(signal: AbortSignal, listener: () => void): () => void {
  const { listeners, heard } = signals.get(signal) ?? listen(signal)
  listeners.add(listener)
  return () => {
    listeners.delete(listener)
    if (listeners.size > 0) return
    signal.removeEventListener('abort', heard)
    signals.delete(signal)
  }
}

/** Throws the reason of a signal that was aborted. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw signal.reason
}

/** As `call`, unless the signal aborts before: then rejects with its reason, and `end` is called. */
export async function unlessAborted<T>(call: Promise<T>, signal: AbortSignal, end: () => void): Promise<T> {
  let stopListening = (): void => undefined
  const aborted = new Promise<never>((_resolve, reject) => {
    stopListening = onAbort(signal, () => {
      end()
      reject(signal.reason as Error)
    })
  })
  try {
    return await Promise.race([call, aborted])
  } finally {
    stopListening()
  }
}

function listen(signal: AbortSignal): Listening {
  const listeners = new Set<() => void>()
  const heard = (): void => {
    for (const listener of listeners) listener()
  }
  signal.addEventListener('abort', heard, { once: true })
  const listening = { listeners, heard }
  signals.set(signal, listening)
  return listening
}
