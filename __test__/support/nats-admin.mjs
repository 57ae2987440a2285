// @ts-check
// What an administrator of the bus does and sees, by the official client: the package has no part in it.

import { randomUUID } from 'node:crypto'

import { JetStreamApiError, jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect, nanos } from '@nats-io/transport-node'

import { until } from './until.mjs'

/** @typedef {import('@nats-io/jetstream').ConsumerInfo} ConsumerInfo */

const NO_SUCH_CONSUMER = 10_014
const NO_SUCH_STREAM = 10_059

/** @param {import('@nats-io/transport-node').NodeConnectionOptions} options */
export async function connectAdmin(options) {
  const connection = await connect({ maxReconnectAttempts: -1, reconnectTimeWait: 50, reconnectJitter: 20, waitOnFirstConnect: true, timeout: 5000, ...options })
  return new Admin(connection, await jetstreamManager(connection, { checkAPI: false, timeout: 5000 }))
}

/** @param {unknown} payload a string or bytes go as they are */
const bytesOf = (payload) => (typeof payload === 'string' || payload instanceof Uint8Array ? payload : JSON.stringify(payload))

export class Admin {
  /**
   * @param {import('@nats-io/transport-node').NatsConnection} connection
   * @param {import('@nats-io/jetstream').JetStreamManager} manager
   */
  constructor(connection, manager) {
    this.connection = connection
    this.manager = manager
    this.jetstream = jetstream(connection, { timeout: 5000 })
  }

  /**
   * A stream on disk.
   * @param {string} name
   * @param {string[]} subjects
   * @param {Partial<import('@nats-io/jetstream').StreamConfig>} [more]
   */
  addStream(name, subjects, more = {}) {
    return this.manager.streams.add({ name, subjects, ...more })
  }

  /** Those that the package listens to. @param {Partial<import('@nats-io/jetstream').StreamConfig>} [more] */
  async addStreams(more) {
    await this.addStream('SIGNALS', ['signals.>'], more)
    await this.addStream('FEEDBACK', ['feedback.>'], more)
  }

  /**
   * Publishes and resolves with the message's number in its stream. Tries until a stream has said that it has it, always under one
   * id: however often it was sent, it is there once.
   * @param {string} subject
   * @param {unknown} payload
   * @param {{ deadlineMs?: number, timeoutMs?: number }} [patience]
   */
  async publish(subject, payload, { deadlineMs = 60_000, timeoutMs = 2000 } = {}) {
    const msgID = randomUUID()
    const bytes = bytesOf(payload)
    const publishOnce = () => this.jetstream.publish(subject, bytes, { msgID, timeout: timeoutMs }).then(({ seq }) => seq, () => undefined)
    return await publishOnce() ?? until(publishOnce, `a stream has a message of ${subject}`, deadlineMs)
  }

  /** Publishes in this order, some at a time. @param {string} subject @param {unknown[]} payloads */
  async publishAll(subject, payloads) {
    const sequences = []
    for (let i = 0; i < payloads.length; i += 200) {
      sequences.push(...await Promise.all(payloads.slice(i, i + 200).map((payload) => this.publish(subject, payload))))
    }
    return sequences
  }

  /** The message as the stream has it. @param {string} stream @param {number} seq */
  async message(stream, seq) {
    const message = await this.manager.streams.getMessage(stream, { seq })
    if (message === null) throw new Error(`stream ${stream} has no message ${seq}`)
    return message
  }

  /** @param {string} stream @param {string} durable @returns {Promise<ConsumerInfo | undefined>} */
  async consumer(stream, durable) {
    try {
      return await this.manager.consumers.info(stream, durable)
    } catch (error) {
      if (error instanceof JetStreamApiError && [NO_SUCH_CONSUMER, NO_SUCH_STREAM].includes(error.code)) return undefined
      throw error
    }
  }

  /**
   * Resolves when every message of the stream was delivered and answered for, with what the server says of the consumer then.
   * @param {string} stream
   * @param {string} durable
   * @param {number} [deadlineMs]
   */
  async settled(stream, durable, deadlineMs) {
    return until(async () => {
      const asked = async () => {
        const { state } = await this.manager.streams.info(stream)
        const info = await this.consumer(stream, durable)
        const isDone = info !== undefined && info.num_pending === 0 && info.num_ack_pending === 0 && info.delivered.stream_seq >= state.last_seq
        return isDone && info
      }
      // A server that is just coming back answers nothing.
      return asked().catch(() => undefined)
    }, `${durable} has answered for all of ${stream}`, deadlineMs)
  }

  /**
   * Has what nobody answered for come again after a second, not after the half minute that the package asks for: whoever died with it
   * will not answer. Holds until the consumer is found anew.
   * @param {string} stream
   * @param {string} durable
   */
  async hurry(stream, durable) {
    await until(() => this.manager.consumers.update(stream, durable, { ack_wait: nanos(1000) }).then(() => true, () => undefined), `${durable} is told to hurry`)
  }

  /** So many messages were delivered, those that came again included. @param {string} stream @param {string} durable */
  async deliveries(stream, durable) {
    return (await this.consumer(stream, durable))?.delivered.consumer_seq
  }

  close() {
    return this.connection.close()
  }
}
