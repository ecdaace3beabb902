import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.Map;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;

/**
 * Kafka's generated classes behind a pipe: reads a message in one version and writes it in another.
 *
 * A question is the class's name (as writeUTF has it), the version to read (int16; -1 for a new
 * object, nothing read), the version to write (int16; -1 for what Kafka knows of the class), and
 * the bytes (int32 length). An answer is an int32 length and the bytes; -1 if Kafka cannot read,
 * -2 if it cannot write. The unread rest of the bytes is an error of reading.
 */
public final class CodecOracle {
    private static final int UNREADABLE = -1;
    private static final int UNWRITABLE = -2;

    private final Map<String, Class<?>> classes = new HashMap<>();

    public static void main(String[] args) throws Exception {
        DataInputStream in = new DataInputStream(new BufferedInputStream(System.in));
        DataOutputStream out = new DataOutputStream(new BufferedOutputStream(System.out));
        // Nothing else may speak on the pipe.
        System.setOut(System.err);
        CodecOracle oracle = new CodecOracle();
        while (oracle.answer(in, out)) {
            out.flush();
        }
    }

    private boolean answer(DataInputStream in, DataOutputStream out) throws Exception {
        String name;
        try {
            name = in.readUTF();
        } catch (EOFException end) {
            return false;
        }
        short readVersion = in.readShort();
        short writeVersion = in.readShort();
        byte[] bytes = new byte[in.readInt()];
        in.readFully(bytes);
        Message message = create(name);
        if (readVersion >= 0 && !read(message, bytes, readVersion)) {
            out.writeInt(UNREADABLE);
            return true;
        }
        if (writeVersion < 0) {
            describe((ApiMessage) message, name.endsWith("RequestData"), out);
        } else {
            write(message, writeVersion, out);
        }
        return true;
    }

    /**
     * Key or type, first and last version (int16 each). For a request also whether the last
     * version is unstable, a broker serves it, a controller does; then for every version the
     * versions of the headers of request and response (a byte each).
     */
    private static void describe(ApiMessage message, boolean isRequest, DataOutputStream out)
        throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        DataOutputStream facts = new DataOutputStream(bytes);
        short first = message.lowestSupportedVersion();
        short last = message.highestSupportedVersion();
        facts.writeShort(message.apiKey());
        facts.writeShort(first);
        facts.writeShort(last);
        if (isRequest) {
            ApiMessageType type = ApiMessageType.fromApiKey(message.apiKey());
            facts.writeBoolean(type.latestVersionUnstable());
            facts.writeBoolean(type.listeners().contains(ApiMessageType.ListenerType.BROKER));
            facts.writeBoolean(type.listeners().contains(ApiMessageType.ListenerType.CONTROLLER));
            for (short version = first; version <= last; version++) {
                facts.writeByte(type.requestHeaderVersion(version));
                facts.writeByte(type.responseHeaderVersion(version));
            }
        }
        out.writeInt(bytes.size());
        bytes.writeTo(out);
    }

    private Message create(String name) throws ReflectiveOperationException {
        Class<?> found = classes.get(name);
        if (found == null) {
            found = Class.forName(name);
            classes.put(name, found);
        }
        return (Message) found.getDeclaredConstructor().newInstance();
    }

    private static boolean read(Message message, byte[] bytes, short version) {
        ByteBuffer buffer = ByteBuffer.wrap(bytes);
        try {
            message.read(new ByteBufferAccessor(buffer), version);
        } catch (RuntimeException unreadable) {
            return false;
        }
        return !buffer.hasRemaining();
    }

    private static void write(Message message, short version, DataOutputStream out)
        throws IOException {
        byte[] bytes;
        try {
            ObjectSerializationCache cache = new ObjectSerializationCache();
            ByteBuffer buffer = ByteBuffer.allocate(message.size(cache, version));
            message.write(new ByteBufferAccessor(buffer), cache, version);
            if (buffer.hasRemaining()) {
                throw new IllegalStateException("the size is not that of the bytes");
            }
            bytes = buffer.array();
        } catch (RuntimeException unwritable) {
            out.writeInt(UNWRITABLE);
            return;
        }
        out.writeInt(bytes.length);
        out.write(bytes);
    }
}
