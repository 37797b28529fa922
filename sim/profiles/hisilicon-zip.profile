# Deflate on a Kunpeng 920's ZIP engine, as seen by one process.
name = hisilicon-zip
source = UADK documentation (performance report; modular design document), published figures

# The figures: jobs in flight, bytes, pages missing, MB/s of text.
# 354.9 thousand blocks of 1 KiB in a second, one at a time.
point = 1 1024 0 363.4
point = 1 8192 0 557
point = 10 8192 0 1381
point = 20 8192 0 3134
point = 30 8192 0 4317
point = 40 8192 0 5618
point = 50 8192 0 6715
point = 60 8192 0 7245
point = 70 8192 0 7272
# The output of each block was not touched before, so its two pages are missing. (With the output touched the same comparison has 7003, the row above 6715.)
point = 50 8192 2 1943

# What makes them. One at a time: two points, one line. These times include the host software of the measurement.
base-ns = 1100
ns-per-byte = 1.66
# 7272 MB/s is 13 times 557.
engines = 13
# From 10 to 50 in flight the rate grows as if each block took 52 to 61 us, whatever their number; why, is not published.
accompanied-ns = 56000
# 1943 against 7003 MB/s: 20 us a page at 13 engines.
page-fault-ns = 20000
page-fault-rate = 0
