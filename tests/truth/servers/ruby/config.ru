# The endpoints as a Rack application. A kept object is a string that is too long for Ruby's own heap: malloc gives its
# bytes (one more than its length), and their number tells the endpoints apart, because no native frame does.

module Truth
  SIZES = {
    clean: 5000, leak: 5200, status: 5400, tenth: 5600, bounded: 5800, warm: 6000, shared: 6200, background: 6400
  }.freeze
  COUNTS = %w[clean leak status tenth bounded warm shared-a shared-b background].to_h { |kind| [kind, 0] }
  LOCK = Mutex.new
  KEPT = []
  RING = Array.new(16)
  TURNS = Queue.new
  16.times { |place| TURNS << place }

  module_function

  def use_clean
    dropped = []
    50.times { dropped << 'x' * SIZES[:clean] }
    dropped.clear
  end

  def keep_leak
    50.times { KEPT << 'x' * SIZES[:leak] }
  end

  def keep_status
    50.times { KEPT << 'x' * SIZES[:status] }
  end

  def keep_tenth
    50.times { KEPT << 'x' * SIZES[:tenth] }
  end

  # True where the entry was empty.
  def keep_bounded
    place = TURNS.pop
    empty = RING[place].nil?
    RING[place] = 'x' * SIZES[:bounded]
    TURNS << place
    empty
  end

  def keep_warm
    KEPT << 'x' * SIZES[:warm]
  end

  def keep_shared(objects)
    objects.times { KEPT << 'x' * SIZES[:shared] }
  end

  def keep_background
    KEPT << 'x' * SIZES[:background]
  end

  # Does what request n of an endpoint does, and counts what it keeps. Both follow from the endpoint and n alone.
  def act(kind, n)
    objects = 0
    case kind
    when 'clean' then use_clean
    when 'leak'
      keep_leak
      objects = 50
    when 'status'
      if n % 4 == 3
        keep_status
        objects = 50
      end
    when 'tenth'
      if (n % 10).zero?
        keep_tenth
        objects = 50
      end
    when 'bounded' then objects = 1 if keep_bounded
    when 'warm'
      if n < 5
        keep_warm
        objects = 1
      end
    when 'shared-a', 'shared-b'
      objects = kind == 'shared-a' ? 25 : 50
      # The only call, so that no frame tells the two endpoints apart.
      keep_shared(objects)
    end
    add(kind, objects) if objects.positive?
  end

  def add(kind, objects)
    LOCK.synchronize { COUNTS[kind] += objects }
  end

  # Waits as for a database, so that other threads serve meanwhile.
  def pause(n)
    sleep(0.0005 * (1 + n % 4))
  end

  def call(env)
    path = env['PATH_INFO']
    if path == '/truth'
      counts = LOCK.synchronize { COUNTS.map { |kind, objects| "\"#{kind}\": #{objects}" } }
      return [200, { 'Content-Type' => 'application/json' }, ["{#{counts.join(', ')}}"]]
    end
    _, kind, number = path.split('/')
    n = number.to_i
    return [404, {}, []] unless COUNTS.key?(kind)

    pause(n)
    act(kind, n)
    pause(n + 1)
    [kind == 'status' && n % 4 == 3 ? 500 : 200, { 'Content-Type' => 'text/plain' }, ["#{kind} #{n}\n"]]
  end
end

Thread.new do
  loop do
    Truth.keep_background
    Truth.add('background', 1)
    sleep 0.01
  end
end

run Truth
