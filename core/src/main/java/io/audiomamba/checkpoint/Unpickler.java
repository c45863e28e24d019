package io.audiomamba.checkpoint;

import java.io.ByteArrayOutputStream;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.math.BigInteger;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/**
 * Reads Python's pickle format (protocols 0 to 5, as PyTorch writes it) as data. A pickle is a program that may name
 * any Python function: here only names on a fixed list have a meaning, each of them becomes a plain Java value, and
 * any other is refused. Nothing is ever run.
 *
 * <p>Python's dicts become {@link Map}, lists and tuples {@link List}, numbers Long, {@link BigInteger} or Double,
 * None null; tensors become {@link PickledTensor}; configurations and other baggage of training become {@link Inert}.
 */
final class Unpickler {

    /** An object that a checkpoint may hold but that means nothing to a model. */
    record Inert(String type) {}

    /** A Python name that has been put on the stack: a function to be called or a type. */
    private record Global(String name) {}

    private enum Mark {
        MARK
    }

    /** The format's own error: callers add the file's name. */
    static final class BadPickleException extends RuntimeException {
        private static final long serialVersionUID = 1;

        BadPickleException(String message) {
            super(message);
        }
    }

    /** Classes whose instances are baggage. */
    private static final List<String> INERT = List.of("yacs.config.CfgNode", "argparse.Namespace",
            "types.SimpleNamespace",
            "numpy.dtype", "numpy.ndarray", "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar",
            "numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct", "torch.device", "torch.Size",
            "torch.Generator", "_codecs.encode", "pathlib.PosixPath", "datetime.timedelta", "datetime.datetime",
            "omegaconf.dictconfig.DictConfig", "omegaconf.listconfig.ListConfig");
    private static final List<String> MAPS = List.of("collections.OrderedDict", "builtins.dict", "__builtin__.dict");
    private static final List<String> LISTS = List.of("builtins.set", "__builtin__.set", "builtins.frozenset",
            "__builtin__.frozenset", "builtins.list", "__builtin__.list", "builtins.tuple", "builtins.bytearray",
            "__builtin__.bytearray");
    private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED
            .withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfDouble BIG_DOUBLE = ValueLayout.JAVA_DOUBLE_UNALIGNED
            .withOrder(ByteOrder.BIG_ENDIAN);

    /** Checkpoints hold some thousands; a byte or two make one, which takes up to a hundred here. */
    private static final int MOST_OBJECTS = 1_000_000;

    private final MemorySegment bytes;
    private final Function<List<?>, ?> storages;
    private long position;
    /** Elements of lists and dicts that were made of others, of which a few bytes can copy any number. */
    private long copied;
    private int collections;
    private List<Object> stack = new ArrayList<>();
    private Map<Integer, Object> memo = new HashMap<>();

    /**
     * @param bytes    one or several pickles after one another
     * @param storages what stands for a persistent identifier, such as ("storage", type, key, location, size)
     */
    Unpickler(MemorySegment bytes, Function<List<?>, ?> storages) {
        this.bytes = bytes;
        this.storages = storages;
    }

    /** Where the next pickle begins. */
    long position() {
        return position;
    }

    /**
     * Reads the next pickle.
     *
     * @throws BadPickleException if it is not one, or names something that is not allowed
     */
    Object read() {
        stack = new ArrayList<>();
        memo = new HashMap<>();
        try {
            while (true) {
                int opcode = next();
                if (opcode == '.') {
                    return pop();
                }
                step(opcode);
            }
        } catch (BadPickleException e) {
            throw e;
        } catch (RuntimeException e) { // whatever it is, it comes of what the bytes say
            throw new BadPickleException("its pickle is damaged at byte " + position);
        }
    }

    private void step(int opcode) {
        switch (opcode) {
            case 0x80 -> next();
            case 0x95 -> position += Long.BYTES;
            case '(' -> push(Mark.MARK);
            case '0' -> pop();
            case '1' -> popToMark();
            case '2' -> push(stack.getLast());
            case 'N' -> push(null);
            case 0x88 -> push(Boolean.TRUE);
            case 0x89 -> push(Boolean.FALSE);
            case 'K' -> push((long) next());
            case 'M' -> push((long) take(2).get(SHORT, 0) & 0xffff);
            case 'J' -> push((long) take(4).get(INT, 0));
            case 0x8a -> push(number(take(next())));
            case 0x8b -> push(number(take(length(take(4).get(INT, 0)))));
            case 'G' -> push(take(8).get(BIG_DOUBLE, 0));
            case 'F' -> push(Double.valueOf(line()));
            case 'I' -> push(integer(line()));
            case 'L' -> push(integer(line().replace("L", "")));
            case 'X', 'B', 'T' -> push(text(opcode, length(take(4).get(INT, 0))));
            case 0x8c, 'C', 'U' -> push(text(opcode, next()));
            case 0x8d, 0x8e, 0x96 -> push(text(opcode, take(8).get(LONG, 0)));
            case 'V' -> push(line());
            case 'S' -> push(line().replaceAll("^['\"]|['\"]$", ""));
            case '}' -> push(new LinkedHashMap<>());
            case ']', 0x8f -> push(new ArrayList<>());
            case ')' -> push(List.of());
            case 'l', 't', 0x91 -> push(popToMark());
            case 'd' -> push(map(popToMark()));
            case 0x85 -> push(popMany(1));
            case 0x86 -> push(popMany(2));
            case 0x87 -> push(popMany(3));
            case 'a' -> append(popMany(1));
            case 'e', 0x90 -> append(popToMark());
            case 's' -> put(popMany(2));
            case 'u' -> put(popToMark());
            case 'q' -> remember(next());
            case 'r' -> remember(take(4).get(INT, 0));
            case 'p' -> remember(Integer.parseInt(line()));
            case 0x94 -> remember(memo.size());
            case 'h' -> push(remembered(next()));
            case 'j' -> push(remembered(take(4).get(INT, 0)));
            case 'g' -> push(remembered(Integer.parseInt(line())));
            case 'c' -> push(global(line() + "." + line()));
            case 0x93 -> {
                List<Object> names = popMany(2);
                push(global(nameOf(names.get(0)) + "." + nameOf(names.get(1))));
            }
            case 'Q' -> push(storages.apply((List<?>) pop()));
            case 'R', 0x81 -> {
                List<Object> call = popMany(2);
                push(call((Global) call.get(0), (List<?>) call.get(1)));
            }
            case 0x92 -> {
                List<Object> call = popMany(3);
                push(call((Global) call.get(0), (List<?>) call.get(1)));
            }
            // The state of an object: attributes of a dict, or what a piece of baggage holds.
            case 'b' -> pop();
            default -> throw new BadPickleException(
                    "its pickle has the unknown instruction 0x%02x at byte %d".formatted(opcode, position - 1));
        }
    }

    private Global global(String name) {
        boolean known = INERT.contains(name) || MAPS.contains(name) || LISTS.contains(name)
                || name.equals("collections.defaultdict") || PickledTensor.isBuilder(name)
                || PickledTensor.storageType(name) != null;
        if (!known) {
            throw new BadPickleException(
                    "it names '" + name
                            + "', which no model needs; it was not run");
        }
        return new Global(name);
    }

    private Object call(Global function, List<?> arguments) {
        String name = function.name();
        if (PickledTensor.isBuilder(name)) {
            return PickledTensor.build(name, arguments);
        }
        if (MAPS.contains(name)) {
            return arguments.isEmpty() ? new LinkedHashMap<>() : pairs(counted((List<?>) arguments.getFirst()));
        }
        if (name.equals("collections.defaultdict")) {
            return new LinkedHashMap<>();
        }
        if (LISTS.contains(name)) {
            return arguments.isEmpty() || !(arguments.getFirst() instanceof List<?> values)
                    ? new ArrayList<>()
                    : new ArrayList<>(counted(values));
        }
        return new Inert(name);
    }

    /** A list that is about to be copied: no honest pickle has more of them than it has bytes. */
    private List<?> counted(List<?> values) {
        copied += values.size();
        if (copied > bytes.byteSize()) {
            throw new BadPickleException("its pickle copies more than it holds, at byte " + position);
        }
        return values;
    }

    /**
     * The text of a name, of a number or of one of Python's names.
     *
     * @throws BadPickleException if {@code value} is anything else, whose text may be endless
     */
    static String nameOf(Object value) {
        return switch (value) {
            case String text -> text;
            case Long number -> number.toString();
            case Global(String name) -> name;
            case null, default -> throw new BadPickleException(
                    "it has an object of the type " + typeOf(value) + " where it needs a name");
        };
    }

    /** What a value is, for errors; never the value itself: collections may hold one another. */
    static String typeOf(Object value) {
        return value == null ? "None" : value.getClass().getSimpleName();
    }

    private static Map<Object, Object> pairs(List<?> items) {
        Map<Object, Object> map = new LinkedHashMap<>();
        for (Object item : items) {
            List<?> pair = (List<?>) item;
            map.put(key(pair.get(0)), pair.get(1));
        }
        return map;
    }

    private static Map<Object, Object> map(List<Object> items) {
        Map<Object, Object> map = new LinkedHashMap<>();
        for (int i = 0; i + 1 < items.size(); i += 2) {
            map.put(key(items.get(i)), items.get(i + 1));
        }
        return map;
    }

    /**
     * A collection as a key would have to be hashed, which a nest of references to itself makes endless; and so would a long
     * number, as often as it is used.
     */
    private static Object key(Object key) {
        return key instanceof Map || key instanceof List || key instanceof BigInteger ? new Object() : key;
    }

    @SuppressWarnings("unchecked")
    private void put(List<Object> items) {
        // Baggage that is itself a dict, such as a yacs configuration, takes items too.
        if (!(stack.getLast() instanceof Inert)) {
            ((Map<Object, Object>) stack.getLast()).putAll(map(items));
        }
    }

    @SuppressWarnings("unchecked")
    private void append(List<Object> items) {
        if (!(stack.getLast() instanceof Inert)) {
            ((List<Object>) stack.getLast()).addAll(items);
        }
    }

    private Object remembered(int index) {
        if (!memo.containsKey(index)) {
            throw new BadPickleException("its pickle refers to an object that it does not hold, at byte " + position);
        }
        return memo.get(index);
    }

    private void push(Object value) {
        if ((value instanceof Map || value instanceof List) && ++collections > MOST_OBJECTS) {
            throw new BadPickleException("its pickle makes more dicts, lists and tuples than any model");
        }
        stack.add(value);
    }

    private void remember(int index) {
        if (memo.size() == MOST_OBJECTS) {
            throw new BadPickleException("its pickle refers to more objects than any model");
        }
        memo.put(index, stack.getLast());
    }

    private Object pop() {
        return stack.removeLast();
    }

    private List<Object> popMany(int count) {
        List<Object> tail = stack.subList(stack.size() - count, stack.size());
        List<Object> values = new ArrayList<>(tail);
        tail.clear();
        return values;
    }

    private List<Object> popToMark() {
        int mark = stack.lastIndexOf(Mark.MARK);
        List<Object> values = popMany(stack.size() - 1 - mark);
        pop();
        return values;
    }

    private int next() {
        return take(1).get(ValueLayout.JAVA_BYTE, 0) & 0xff;
    }

    private MemorySegment take(long count) {
        MemorySegment slice = bytes.asSlice(position, count);
        position += count;
        return slice;
    }

    private static long length(int unsigned) {
        return Integer.toUnsignedLong(unsigned);
    }

    /** Text for the opcodes of text, an inert value for those of bytes: no model keeps anything in bytes. */
    private Object text(int opcode, long length) {
        MemorySegment content = take(length);
        boolean isBytes = opcode == 'B' || opcode == 'C' || opcode == 0x8e || opcode == 0x96;
        return isBytes
                ? new Inert("bytes")
                : new String(content.toArray(ValueLayout.JAVA_BYTE), StandardCharsets.UTF_8);
    }

    private String line() {
        ByteArrayOutputStream line = new ByteArrayOutputStream();
        for (int b = next(); b != '\n'; b = next()) {
            line.write(b);
        }
        return line.toString(StandardCharsets.UTF_8);
    }

    private static Object integer(String line) {
        return switch (line) {
            case "00" -> Boolean.FALSE;
            case "01" -> Boolean.TRUE;
            default -> Long.valueOf(line);
        };
    }

    /** A little-endian two's complement number. */
    private static Object number(MemorySegment littleEndian) {
        int length = (int) littleEndian.byteSize();
        if (length == 0) {
            return 0L;
        }
        byte[] bigEndian = new byte[length];
        for (int i = 0; i < length; i++) {
            bigEndian[i] = littleEndian.get(ValueLayout.JAVA_BYTE, length - 1L - i);
        }
        BigInteger value = new BigInteger(bigEndian);
        return value.bitLength() < Long.SIZE ? (Object) value.longValue() : value;
    }
}
